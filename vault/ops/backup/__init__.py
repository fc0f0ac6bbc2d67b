"""Backups: made, restored to an empty place, and tried."""
