"""Finds the kill points in the code, so that none has to be listed by hand."""

from __future__ import annotations

import ast

from tests.places.site import ROOT
from vault.kill_points import kill_point


def points_in(*patterns: str) -> list[str]:
    """The names of the kill points in those files, each once, in their order.

    One that ends in a value of the moment is given up to there: ``restore-named-``.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            found |= dict.fromkeys(_points(path.read_text(encoding="utf-8")))
    return list(found)


def _points(code: str) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    ours = [call for call in calls if ast.unparse(call.func) == kill_point.__name__]
    ours.sort(key=lambda call: call.lineno)
    return [_begin(call.args[0]) for call in ours]


def _begin(name: ast.expr) -> str:
    if isinstance(name, ast.JoinedStr):
        name = name.values[0]
    assert isinstance(name, ast.Constant), ast.unparse(name)
    return str(name.value)
