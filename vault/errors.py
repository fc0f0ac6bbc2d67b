"""The errors of the vault: one base class, which is never raised itself.

Each says what is wrong (``str(error)``: lower case, no full stop, never any part of a
card number) and, where there is one, the next step (``error.hint``).
"""

from __future__ import annotations


class VaultError(Exception):
    """The base of the tree; catch it, never raise it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(VaultError):
    """A value that somebody gave was refused: a form's field, an option of a command,
    or what is in a file given to one.  ``field`` names it.  For a card's fields and
    tokens ``reason`` is one word a form can translate, elsewhere a phrase to print."""

    def __init__(self, field: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{field}: {reason}", hint=hint)
        self.field = field
        self.reason = reason


class UnknownToken(VaultError):
    """No card has this token."""


class IntegrityFault(VaultError):
    """A stored row, file or backup is not as it was written; ``subject`` names it."""

    def __init__(self, subject: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{subject}: {problem}", hint=hint)
        self.subject = subject
        self.problem = problem


class NotMadeByRoot(IntegrityFault):
    """A row or file has no MAC of this vault's root, so the root did not make it."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            subject,
            "not made by this vault's root",
            hint="nothing was written; docs/operations.md says what to do, "
            "under: Not made by this vault's root",
        )


class FileRefused(VaultError):
    """A file, folder or database is not what it should be: it is missing, readable by
    others, damaged, of another key or root, or in the way of a new one."""


class WrongVault(VaultError):
    """A database or backup belongs to another vault than the web key."""


class WrongRootKey(VaultError):
    """The root key, its passphrase or a share does not open this vault."""


class KeyWornOut(VaultError):
    """A data key reached its limit of seals (NIST SP 800-38D section 8.3)."""


class LeaseHeld(VaultError):
    """Another process holds the rotation or the range, or has taken it over."""


class SchemaError(VaultError):
    """The database's tables are missing, older or newer than this code, or another
    role's."""
