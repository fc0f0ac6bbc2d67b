"""What operators hold in their hands: an authenticator app, a passkey in software."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
from base64 import b32decode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.auth.factors import totp
from app.auth.models import Operator
from tests.actors.operator_client import LOGIN_ID, Auth

USER_PRESENT, USER_VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


def base64url(data: bytes) -> str:
    """As WebAuthn's JSON spells bytes."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes WebAuthn's JSON spells."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def options_on(page: TestResponse) -> dict[str, Any]:
    """What a page asks the browser's passkeys."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found is not None, page.text[:300]
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


@dataclass
class Authenticator:
    """One ES256 passkey and the browser that speaks for it; every part of what
    they say can be bent."""

    host: str = "localhost"
    origin: str = "http://localhost"
    flags: int = USER_PRESENT | USER_VERIFIED
    count: int = 1
    step: int = 1
    id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: dict[str, Any], kind: str = "webauthn.create") -> str:
        """Answer to navigator.credentials.create()."""
        about = self._about(HAS_KEY) + bytes(16) + len(self.id).to_bytes(2, "big")
        attestation = cbor2.dumps(
            {"fmt": "none", "attStmt": {}, "authData": about + self.id + self._cose()}
        )
        return self._answer(
            {
                "clientDataJSON": base64url(self._client(options, kind)),
                "attestationObject": base64url(attestation),
            }
        )

    def sign(self, options: dict[str, Any], kind: str = "webauthn.get") -> str:
        """Answer to navigator.credentials.get()."""
        self.count += self.step
        about, client = self._about(), self._client(options, kind)
        signature = self.key.sign(
            about + hashlib.sha256(client).digest(), ec.ECDSA(SHA256())
        )
        return self._answer(
            {
                "clientDataJSON": base64url(client),
                "authenticatorData": base64url(about),
                "signature": base64url(signature),
            }
        )

    def _answer(self, response: dict[str, str]) -> str:
        name = base64url(self.id)
        answer = {"id": name, "rawId": name, "type": "public-key"}
        return json.dumps({**answer, "response": response})

    def _about(self, more: int = 0) -> bytes:
        """WebAuthn's authenticator data: RP ID hash, flags, count."""
        flags = bytes([self.flags | more])
        host = hashlib.sha256(self.host.encode()).digest()
        return host + flags + self.count.to_bytes(4, "big")

    def _client(self, options: dict[str, Any], kind: str) -> bytes:
        said = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps(said).encode()

    def _cose(self) -> bytes:
        """The public key as COSE spells it: EC2, ES256, P-256, x, y."""
        point = self.key.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        encoded: bytes = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        return encoded


def enrol_app(auth: Auth) -> bytes:
    """Set up an authenticator app for who is logged in; returns its seed."""
    auth.post("/factors/totp/new", page="/factors")
    seed = shown_seed(auth)
    now = auth.app.extensions["clock"]()
    done = auth.post("/factors/totp", code=totp.code_at(seed, now // 30))
    assert done.location == "/factors", done.text
    return seed


def shown_seed(auth: Auth) -> bytes:
    """The seed on the page, as somebody would type it into an app."""
    page = auth.get("/factors/totp").text
    found = re.search(r"secret\">([A-Z2-7 ]+)<", page)
    assert found is not None
    return b32decode(found[1].replace(" ", ""))


def enrol_passkey(
    auth: Auth, passkey: Authenticator, name: str | None = None
) -> TestResponse:
    """Add a passkey for who is logged in, under the name the page offers or another."""
    words = {"credential": passkey.make(options_on(auth.get("/factors")))}
    if name is not None:
        words["name"] = name
    return auth.post("/factors/passkey", page="/factors", **words)


def give_passkey(auth: Auth, passkey: Authenticator) -> TestResponse:
    """Press パスキーでログイン on the code page."""
    answer = passkey.sign(options_on(auth.get("/login/code")))
    return auth.post("/login/passkey", page="/login/code", credential=answer)


def operator_of(app: Flask) -> Operator:
    """The operator with his factors, read now."""
    with Session(app.extensions["site_engine"], expire_on_commit=False) as site:
        found = site.scalars(select(Operator).filter_by(login_id=LOGIN_ID)).one()
        assert (found.totp, found.passkeys) is not None
        return found
