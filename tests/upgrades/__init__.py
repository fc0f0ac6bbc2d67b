"""Databases as released versions made them, and what today's code makes of them."""
