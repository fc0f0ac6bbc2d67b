"""Backups: makes them, restores them to an empty place, and tries a restore."""
