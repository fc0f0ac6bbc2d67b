"""Makes and checks one-time passwords by time (RFC 6238) as authenticator apps do.

They use SHA-1 and have six digits; every 30 seconds there is a new one.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

from vault import crypto

STEP_SECONDS = 30
DIGITS = 6
# RFC 4226 section 4: 160 bits.
SEED_BYTES = 20
# A phone's clock may be a step off either way (RFC 6238 section 5.2).
WINDOW = 1


def new_seed() -> bytes:
    """20 random bytes."""
    return secrets.token_bytes(SEED_BYTES)


def code_at(seed: bytes, step: int) -> str:
    """The six digits of a 30-second ``step`` since 1970 (RFC 4226 section 5.3)."""
    return crypto.one_time_password(seed, step, DIGITS)


def matching_step(seed: bytes, typed: str, now: int) -> int | None:
    """The newest step around ``now`` (seconds UTC) that ``typed`` is the code of;
    None for a wrong code and for any text that is none."""
    # compare_digest raises on anything but ASCII.
    if not (typed.isascii() and typed.isdigit()):
        return None
    here = now // STEP_SECONDS
    near = range(here - WINDOW, here + WINDOW + 1)
    right = [s for s in near if hmac.compare_digest(code_at(seed, s), typed)]
    return max(right, default=None)


def spelled(seed: bytes) -> str:
    """The seed for typing into an app: base32 in groups of four."""
    text = base64.b32encode(seed).decode()
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def address(seed: bytes, site_name: str, login_id: str) -> str:
    """The otpauth:// address an app reads from a QR code.

    The site stands in the label too, because some apps show nothing else, and write
    over an entry with the same label; a colon ends it there, so it has none of its own.
    Algorithm, digits and period are every app's defaults and are left out, so that the
    squares are large.
    """
    site = site_name.replace(":", " ")
    fields = {"secret": base64.b32encode(seed).decode(), "issuer": site}
    label = f"{quote(site, safe='')}:{quote(login_id, safe='')}"
    return f"otpauth://totp/{label}?{urlencode(fields, quote_via=quote)}"
