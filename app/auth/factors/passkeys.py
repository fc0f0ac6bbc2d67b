"""Makes and checks passkeys (WebAuthn level 3) with the ``webauthn`` library.

The challenge is stored in the login's row and used once.  The authenticator must have
verified its user (a finger, a face, a PIN); its make is not asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import webauthn
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_authenticator_data,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..models import Login, Operator, Passkey

MAX_PASSKEYS = 10
MAX_ANSWER = 8 * 1024
# WebAuthn level 3, section 5.8.3; the library accepts longer ones.
MAX_CREDENTIAL_ID = 1023


@dataclass(frozen=True)
class Party:
    """The party that asks for a passkey: the host that passkeys belong to (RP ID), the
    origin of this request (``https://host``) and the site's name."""

    host: str
    origin: str
    name: str


def registration_options(party: Party, login: Login) -> str:
    """What the browser needs to make a passkey, as JSON; it excludes authenticators the
    operator has enrolled."""
    operator = login.operator
    options = webauthn.generate_registration_options(
        rp_id=party.host,
        rp_name=party.name,
        user_id=b"operator %d" % operator.id,
        user_name=operator.login_id,
        user_display_name=operator.name,
        challenge=base64url_to_bytes(login.challenge),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(operator),
    )
    return webauthn.options_to_json(options)


def login_options(party: Party, login: Login) -> str:
    """What the browser needs to use one of the operator's passkeys, as JSON."""
    options = webauthn.generate_authentication_options(
        rp_id=party.host,
        challenge=base64url_to_bytes(login.challenge),
        allow_credentials=_descriptors(login.operator),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def is_registration(answer: str) -> bool:
    """Say whether ``answer`` has the form of a new passkey, right or wrong.  What an
    extension of the browser made of one may not have it."""
    try:
        response = parse_registration_credential_json(_object(answer)).response
        parse_client_data_json(response.client_data_json)
        parse_attestation_object(response.attestation_object)
    except Exception:  # noqa: BLE001 - the library raises many kinds on made up answers
        return False
    return True


def is_login(answer: str) -> bool:
    """Say the same of what a passkey signed to log in."""
    try:
        response = parse_authentication_credential_json(_object(answer)).response
        parse_client_data_json(response.client_data_json)
        parse_authenticator_data(response.authenticator_data)
    except Exception:  # noqa: BLE001 - the library raises many kinds on made up answers
        return False
    return True


def verify_registration(
    party: Party, asked: str, answer: str, name: str, now: int
) -> Passkey | None:
    """The passkey a browser made when ``asked``, called ``name``; None when anything
    about the answer is wrong."""
    try:
        checked = webauthn.verify_registration_response(
            credential=_object(answer),
            expected_challenge=base64url_to_bytes(asked),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - the library raises many kinds on made up answers
        return None
    if len(checked.credential_id) > MAX_CREDENTIAL_ID:
        return None
    return Passkey(
        name=name,
        credential_id=bytes_to_base64url(checked.credential_id),
        public_key=checked.credential_public_key,
        sign_count=checked.sign_count,
        created_at=now,
        used_at=0,
    )


def is_known(site: Session, passkey: Passkey) -> bool:
    """Say whether an operator has this passkey already."""
    same = Passkey.credential_id == passkey.credential_id
    return site.scalar(select(Passkey.id).where(same)) is not None


def verify_login(
    site: Session, operator: Operator, party: Party, asked: str, answer: str, now: int
) -> bool:
    """Say whether a passkey of the operator's signed ``answer`` to the challenge
    ``asked``.

    The count of signatures must grow, because that of a copied passkey falls behind;
    one conditional UPDATE decides.  Passkeys that don't count stay at 0.
    """
    fields = _object(answer)
    passkey = _named(operator, fields.get("id"))
    if passkey is None:
        return False
    try:
        checked = webauthn.verify_authentication_response(
            credential=fields,
            expected_challenge=base64url_to_bytes(asked),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - the library raises many kinds on made up answers
        return False
    used = (
        update(Passkey)
        .where(Passkey.id == passkey.id, Passkey.sign_count == passkey.sign_count)
        .values(sign_count=checked.new_sign_count, used_at=now)
        .execution_options(synchronize_session=False)
    )
    done: int = site.execute(used).rowcount  # type: ignore[attr-defined]
    return done == 1


def _descriptors(operator: Operator) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential_id))
        for passkey in operator.passkeys
    ]


def _named(operator: Operator, credential_id: object) -> Passkey | None:
    own = (p for p in operator.passkeys if p.credential_id == credential_id)
    return next(own, None)


def _object(answer: str) -> dict[str, object]:
    """The JSON object a browser sent; an empty one for anything else."""
    try:
        fields = json.loads(answer[:MAX_ANSWER])
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
