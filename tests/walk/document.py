"""What the runbook's code blocks tell to type, in their order."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from tests.vault.commands.runbook import TEXT

_FENCE = re.compile(r"^( *)```(\w*)$")
# A block of such a line belongs together: it is typed as a whole.
_TOGETHER = re.compile(r"<<'SQL'|^for |^export |^umask|^[A-Z]+=", re.M)


@dataclass(frozen=True)
class Line:
    """One thing to type: where it stands, and its text."""

    heading: str
    block: int
    text: str


def typed_lines() -> list[Line]:
    """Every line of every block of commands."""
    found: list[Line] = []
    heading, kind, body, count = "", None, "", 0
    for line in TEXT.splitlines():
        fence = _FENCE.match(line)
        if fence and kind is None:
            kind, body = fence[2], ""
        elif fence:
            if kind in ("sh", "console"):
                found += [Line(heading, count, one) for one in _of(str(kind), body)]
                count += 1
            kind = None
        elif kind is not None:
            body += line + "\n"
        elif line.startswith("#"):
            heading, count = line.lstrip("# "), 0
    return found


def _of(kind: str, body: str) -> list[str]:
    """The lines of a block; a console's are those after its prompt."""
    body = textwrap.dedent(body)
    if kind == "console":
        return re.findall(r"^\$ (.*)$", body, re.M)
    if _TOGETHER.search(body):
        return [body.strip()]
    return [line for line in body.splitlines() if line and line[0] not in "# "]
