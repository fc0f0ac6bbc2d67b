"""Looks for card numbers in files, so that an auditor can check where there are none."""

from .files import Found, Unread, scan
from .numbers import holds_number

__all__ = ["Found", "Unread", "holds_number", "scan"]
