"""Looks for what weakens the vault on this machine: one small function for each check.

``checks.everything`` makes all of them; ``site`` and ``mail`` are made when asked for.
"""
