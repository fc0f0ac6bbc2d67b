"""Gathers for an assessor what shows how the vault and its site are run.

``folder`` writes the files, ``page`` makes each printable, ``index`` says what each of
them shows; every other module gathers one subject.  Nothing here holds key material or a
whole card number.
"""
