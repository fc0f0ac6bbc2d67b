"""Draws docs/architecture.svg from the imports: ``make architecture`` runs it.

Rooms stand in rows, what is higher may import what is lower.  The vault's order is the
contract ``floors`` of setup.cfg; the site's is written below.  Every import that leaves
a room is counted once for each pair of modules.
"""

from __future__ import annotations

import ast
import configparser
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"

WIDTH, LEFT, TOP, ROW, BOX, LANE = 1200, 16, 132, 50, 560, 38
SITE, OPS, WEB, SHARED = "#dbeafe", "#fde2e1", "#d9f2e0", "#f1f1ee"
ROLES = {"vault.commands": OPS, "vault.ops": OPS, "vault.web": WEB}
INK, FAINT, LINE, UPWARD = "#1f2328", "#d5d8dc", "#57606a", "#b45309"


@dataclass(frozen=True)
class Room:
    """A row of the picture.

    ``names`` are the modules and packages in it; a module is in the room with the
    longest name that fits.  ``said`` is its text where no docstring says it.
    """

    names: tuple[str, ...]
    colour: str
    said: str = ""

    @property
    def title(self) -> str:
        """The files it stands for."""
        first, *rest = map(_path_of, self.names)
        shown = f"{first.relative_to(ROOT)}{'/' if first.is_dir() else ''}"
        return ", ".join([shown, *(path.name for path in rest)])

    @property
    def text(self) -> str:
        """The first sentence of its docstring; nothing for several files."""
        if self.said or len(self.names) > 1:
            return self.said
        path = _path_of(self.names[0])
        source = path / "__init__.py" if path.is_dir() else path
        doc = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
        return " ".join(doc.split("\n\n")[0].split()).replace("``", "")


def _path_of(name: str) -> Path:
    """The file or the folder of a module's or package's dotted name."""
    path = ROOT.joinpath(*name.split("."))
    return path if path.is_dir() else path.with_suffix(".py")


def rooms() -> list[Room]:
    """Every room, the highest first."""
    shared = "What the pages share: database, mail, log, error pages, response headers."
    names = ("wsgi", "app.__init__", "app.cards", "app.auth")
    site = [*(Room((name,), SITE) for name in names), Room(("app",), SITE, shared)]
    return [*site, Room(("config",), SITE), *_rooms_of_vault()]


def _rooms_of_vault() -> Iterator[Room]:
    """A room for each folder on a floor of the contract, with those inside it above
    it, and one for all files on a floor."""
    contract = configparser.ConfigParser()
    contract.read(ROOT / "setup.cfg", encoding="utf-8")
    for floor in contract["importlinter:contract:floors"]["layers"].split("\n"):
        names = [f"vault.{name.strip()}" for name in floor.split("|") if name.strip()]
        folders = [name for name in names if _path_of(name).is_dir()]
        for name in folders:
            colour = ROLES.get(name, SHARED)
            if name == "vault.web":
                yield Room(("vault.__init__",), colour)
            for inner in sorted(_path_of(name).glob("*/__init__.py")):
                if inner.parent.name != "migrations":
                    yield Room((f"{name}.{inner.parent.name}",), colour)
            yield Room((name,), colour)
        if files := tuple(name for name in names if name not in folders):
            yield Room(files, SHARED)


def modules() -> dict[str, Path]:
    """Every module by its dotted name, but those that a tool runs and none imports."""
    paths = [ROOT / "wsgi.py", ROOT / "config.py"]
    for folder in ("app", "vault"):
        paths += ROOT.glob(f"{folder}/**/*.py")
    paths = [path for path in paths if path.name not in ("__main__.py", "env.py")]
    named = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths
    }
    return {name.removesuffix(".__init__"): named[name] for name in sorted(named)}


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that one imports, at any depth of its file."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*parts, *filter(None, [node.module])])
            inner = {f"{source}.{alias.name}" for alias in node.names}
            found |= inner & known.keys() or {source}
    return found & known.keys()


def arrows(drawn: Sequence[Room]) -> Counter[tuple[int, int]]:
    """How many imports go from one room to another, by their places in ``drawn``."""
    known = modules()

    def room_of(module: str) -> int:
        fits = [
            (len(name), place)
            for place, room in enumerate(drawn)
            for name in room.names
            if module == name.removesuffix(".__init__") or module.startswith(f"{name}.")
        ]
        return max(fits)[1]

    pairs: Counter[tuple[int, int]] = Counter()
    for name, path in known.items():
        for other in imports(name, path, known):
            pairs[room_of(name), room_of(other)] += 1
    return Counter({pair: n for pair, n in pairs.items() if pair[0] != pair[1]})


def draw() -> str:
    """The picture as SVG text; the same imports always give the same text."""
    drawn = rooms()
    counted = arrows(drawn)
    targets = sorted({to for _, to in counted})
    lanes = {to: LEFT + BOX + 40 + LANE * n for n, to in enumerate(targets)}
    width = max(WIDTH, max(lanes.values()) + LANE)
    height = TOP + ROW * len(drawn) + 6
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="13" '
        'role="img" aria-labelledby="title">'
    )
    parts = [
        head,
        '<title id="title">The rooms of the code and the imports between them</title>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_heading(),
    ]
    for place, room in enumerate(drawn):
        parts += _box(place, room)
        y, reached = _middle(place) - 9, [lanes[to] for s, to in counted if s == place]
        parts += [_line(LEFT + BOX, y, x, y, FAINT) for x in sorted(reached)[-1:]]
    parts += _nothing_opens(drawn, lanes)
    for to in targets:
        sources = [source for source, other in counted if other == to]
        parts += _lane(lanes[to], to, sources)
        for source in sources:
            parts += _count(lanes[to], source, to, counted[source, to])
    return "\n".join([*parts, "</svg>", ""])


def _heading() -> Iterator[str]:
    """What the picture shows, and what its colours mean."""
    yield _text(LEFT, 32, "The rooms of the code", size=20, weight="bold")
    lines = (
        "A room imports from rooms below it. Each room has a lane, which ends in its arrow;",
        "a disc on the lane counts the imports that come from the room in the disc's row.",
    )
    for n, line in enumerate(lines):
        yield _text(LEFT, 58 + 19 * n, line)
    x = LEFT
    for colour, name in (
        (SITE, "the site"),
        (OPS, "the ops role: opens"),
        (WEB, "the web role: seals"),
        (SHARED, "both roles'"),
    ):
        yield (
            f'<rect x="{x}" y="98" width="18" height="14" rx="3" fill="{colour}" '
            f'stroke="{LINE}"/>'
        )
        yield _text(x + 24, 110, name)
        x += 44 + 7 * len(name)
    yield f'<circle cx="{x + 9}" cy="105" r="8" fill="{UPWARD}"/>'
    yield _text(x + 24, 110, "an import upwards")


def _nothing_opens(drawn: Sequence[Room], lanes: dict[int, int]) -> Iterator[str]:
    """The place where the site would reach the ops role, which has to be empty."""
    ops = [x for place, x in lanes.items() if drawn[place].colour == OPS]
    last = max(place for place, room in enumerate(drawn) if room.colour == SITE)
    x, width = min(ops) - 17, max(ops) - min(ops) + 34
    y, bottom = TOP, TOP + ROW * (last + 1) - 14
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{bottom - y}" rx="6" '
        f'fill="#fff7f6" stroke="#d1242f" stroke-dasharray="5 4"/>'
    )
    words = ("No import:", "the site", "reaches", "nothing", "that opens")
    for n, line in enumerate(words):
        middle = (y + bottom) // 2 - 28 + 18 * n
        yield _text(x + width // 2, middle, line, anchor="middle", colour="#a40e26")


def _box(place: int, room: Room) -> Iterator[str]:
    """A room: its files and what it says of itself."""
    y = TOP + ROW * place
    yield (
        f'<rect x="{LEFT}" y="{y}" width="{BOX}" height="{ROW - 10}" rx="6" '
        f'fill="{room.colour}" stroke="{LINE}"/>'
    )
    if not room.text:
        yield _text(LEFT + 12, y + 26, room.title, weight="bold")
        return
    yield _text(LEFT + 12, y + 17, room.title, weight="bold")
    yield _text(LEFT + 12, y + 34, room.text, size=12)


def _lane(x: int, to: int, sources: Sequence[int]) -> Iterator[str]:
    """The line from the rooms that import ``to`` into its box."""
    end = _middle(to) + 9
    ys = [_middle(source) - 9 for source in sources]
    yield _line(x, min([*ys, end]), x, max([*ys, end]), LINE)
    yield _line(x, end, LEFT + BOX + 8, end, LINE)
    tip = LEFT + BOX + 1
    yield f'<path d="M{tip} {end}l9 -5v10z" fill="{LINE}"/>'


def _count(x: int, source: int, to: int, count: int) -> Iterator[str]:
    """The disc on a lane, which says how many imports come from a room."""
    y, upwards = _middle(source) - 9, source > to
    fill, ink = (UPWARD, "#ffffff") if upwards else ("#ffffff", INK)
    yield f'<circle cx="{x}" cy="{y}" r="11" fill="{fill}" stroke="{LINE}"/>'
    yield _text(x, y + 4, str(count), size=12, anchor="middle", colour=ink)


def _middle(place: int) -> int:
    """The height of a row's middle."""
    return TOP + ROW * place + (ROW - 10) // 2


def _line(x: int, y: int, to_x: int, to_y: int, colour: str) -> str:
    """A straight line."""
    return f'<path d="M{x} {y}L{to_x} {to_y}" stroke="{colour}" fill="none"/>'


def _text(
    x: int,
    y: int,
    text: str,
    *,
    size: int = 13,
    weight: str = "normal",
    anchor: str = "start",
    colour: str = INK,
) -> str:
    """One line of text."""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
