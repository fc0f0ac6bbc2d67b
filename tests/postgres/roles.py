"""A PostgreSQL that speaks TLS, with the roles that the runbook makes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from bench.server import ROLE
from tests.actors.reader import run
from tests.places.postgres_cluster import Cluster
from tests.places.site import ROOT, Place

NAME = "localhost"
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
UNSET = "unset SECRET_KEY ALLOW_INSECURE_LOOPBACK\nset -e\n"


class TlsCluster(Cluster):
    """A server whose certificate, of a throw-away authority, is for NAME."""

    settings: ClassVar[str] = (
        f"{Cluster.settings} ssl=on ssl_cert_file=tls.crt ssl_key_file=tls.key"
    )

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.crt"

    def start(self) -> Self:
        """Make the certificates before the first start."""
        if not self.ca.exists():
            authority, key = _certificate("an authority", None)
            server, server_key = _certificate(NAME, (authority, key))
            self.ca.write_bytes(authority.public_bytes(Encoding.PEM))
            (self.data / "tls.crt").write_bytes(server.public_bytes(Encoding.PEM))
            private = server_key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            (self.data / "tls.key").write_bytes(private)
            owner = self.data.stat()
            for name in ("tls.crt", "tls.key"):
                os.chown(self.data / name, owner.st_uid, owner.st_gid)
                (self.data / name).chmod(0o600)
        super().start()
        return self


def _certificate(
    name: str,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority[0].subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(not authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    )
    return builder.sign(authority[1] if authority else key, hashes.SHA256()), key


@dataclass(frozen=True)
class Roles:
    """The server, and the folder in which everything is typed."""

    cluster: TlsCluster
    folder: Path

    def url(self, login: str, database: str, host: str = NAME) -> str:
        """The URL of a database for a login, by TLS."""
        return (
            f"postgresql+psycopg://{login}@{host}:{self.cluster.port}/{database}"
            f"?sslmode=verify-full&sslrootcert={self.cluster.ca}"
        )

    def place(self, login: str, **more: str) -> Place:
        """The place whose commands and site use a login."""
        urls = {
            "DATABASE_URL": self.url(login, "site"),
            "VAULT_DATABASE_URL": self.url(login, "vault"),
            **more,
        }
        return Place(self.folder, more=urls)

    def type(self, block: str) -> subprocess.CompletedProcess[str]:
        """Type a block of the runbook as it is printed, but for the database's host and
        the place of the authority's certificate, and without the site's settings."""
        ours = block.replace("@db/", f"@{NAME}:{self.cluster.port}/")
        ours = ours.replace("sslrootcert=ca.crt", f"sslrootcert={self.cluster.ca}")
        client = {
            "PGHOST": NAME,
            "PGPORT": str(self.cluster.port),
            "PGUSER": ROLE,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(self.cluster.ca),
            "PGOPTIONS": "-c client_min_messages=warning",
        }
        settings = "".join(f"export {name}='{to}'\n" for name, to in client.items())
        return run(f"{settings}{UNSET}{ours}", self.folder)


def chapter(title: str) -> str:
    """The text of a chapter of the runbook."""
    text: str = RUNBOOK.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return text


def blocks(title: str) -> list[str]:
    """What a chapter of the runbook tells to type, block by block."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", chapter(title), re.M | re.S)
    return [re.sub(f"(?m)^{indent}", "", block) for indent, block in found]


def made(folder: Path) -> Roles:
    """The server, databases, roles and vault of the chapter, its first two blocks typed;
    the keys lie in ``folder``."""
    roles = Roles(TlsCluster().make(), folder)
    for block in blocks("PostgreSQL: roles")[:2]:
        typed = roles.type(block)
        assert typed.returncode == 0, typed.stdout
    for name in ("web.key", "root.key"):
        shutil.move(folder / "instance" / name, folder / name)
    return roles
