"""What this process compiles, it compiles once: a run makes thousands of engines and apps
in one process, and each would compile its statements, pages and addresses anew.

A site compiles them once as well, so nothing else is executed here than there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]


class _Alike:
    """A dialect is like each other of its kind, so that one engine finds what another
    has compiled: SQLAlchemy keeps a statement by its dialect and its shape."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class Sqlite(_Alike, SQLiteDialect_pysqlite):
    """SQLite, as SQLAlchemy has it."""

    supports_statement_cache = True
    _statements: dict[Any, Any] = {}  # noqa: RUF012 - it is every engine's

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Give a new engine the statements of all."""
        engine.update_execution_options(compiled_cache=cls._statements)


class Postgresql(_Alike, PGDialect_psycopg):
    """PostgreSQL, as SQLAlchemy has it."""

    supports_statement_cache = True
    _statements: dict[Any, Any] = {}  # noqa: RUF012 - it is every engine's

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Give a new engine the statements of all."""
        engine.update_execution_options(compiled_cache=cls._statements)


class Templates(BytecodeCache):
    """The pages' code, by the template and its text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket when the same text was compiled before."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was just compiled."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


@functools.cache
def compile_once() -> None:
    """Have SQLAlchemy and werkzeug keep what they compile for the whole process."""
    registry.register("sqlite", __name__, Sqlite.__name__)
    registry.register("postgresql.psycopg", __name__, Postgresql.__name__)
    Rule._compile_builder = _kept(Rule._compile_builder)  # type: ignore[method-assign]


def _kept(compiled: Callable[..., Builder]) -> Callable[..., Builder]:
    """``compiled``, asked once for each kind of address.  What it makes takes its rule
    as an argument and keeps nothing of it."""
    builders: dict[object, Builder] = {}

    @functools.wraps(compiled)
    def builder(rule: Rule, append_unknown: bool = True) -> Builder:
        if rule.defaults:  # they are compiled into it
            return compiled(rule, append_unknown)
        key = rule.rule, tuple(rule._trace), append_unknown
        if key not in builders:
            builders[key] = compiled(rule, append_unknown)
        return builders[key]

    return builder
