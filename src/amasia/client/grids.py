"""Differences as pictures: the chunk grid of each array with what changed marked. Plain data to self-contained SVG."""

from html import escape
from itertools import groupby

from amasia.models.diffs import ArrayChange, ChangeKind, Diff, Grid

CELL, GAP, WIDTH, MIN_WIDTH = 7, 1, 700, 160
LETTER = 7
_FITTING = ' style="max-width:100%;height:auto"'
LINE = 18
MOST = 40
"""Arrays that are drawn; the words name all."""
COLOURS = {
    ChangeKind.added: "var(--amasia-added, #1a7f37)",
    ChangeKind.removed: "var(--amasia-removed, #cf222e)",
    ChangeKind.replaced: "var(--amasia-replaced, #8250df)",
    ChangeKind.changed: "var(--amasia-changed, #0969da)",
}


def svg(diff: Diff) -> str:
    """A picture of a difference, for pages, notebooks and files; its text takes the colour of what is around it.

    It carries no styles of its own, which the console's pages allow nobody.
    """
    return _svg(diff)


def _svg(diff: Diff, style: str = "") -> str:
    parts: list[str] = []
    top = 0
    for array in diff.arrays[:MOST]:
        drawn, height = _array(array, top)
        parts.append(drawn)
        top += height
    if not parts:
        parts, top = [_text("No array differs." if not diff.arrays else "", LINE - 4)], LINE
    if len(diff.arrays) > MOST:
        parts.append(_text(f"and {len(diff.arrays) - MOST} more arrays", top + LINE - 4))
        top += LINE
    label = escape("; ".join(diff.words) or "nothing differs", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" '
        f'viewBox="0 0 {_width(diff)} {top + 4}" width="{_width(diff)}"{style} font-family="sans-serif" font-size="12">'
        f"{''.join(parts)}</svg>"
    )


def html(diff: Diff) -> str:
    """Words and picture, for a notebook."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in diff.words) or "<li>Nothing differs.</li>"
    title = f"{diff.repository} {diff.before} → {diff.after}".strip()
    return (
        f"<div style='color:inherit;font-family:sans-serif'><strong>{escape(title)}</strong>"
        f"<ul style='margin:.3em 0'>{lines}</ul>{_svg(diff, _FITTING)}</div>"
    )


def _width(diff: Diff) -> int:
    """As much as its words and cells need, so that it keeps its size in a narrow place."""
    shown = diff.arrays[:MOST]
    cells = [len(array.grid.rows[0]) * CELL for array in shown if array.grid is not None]
    return min(WIDTH, max([MIN_WIDTH, *cells, *(15 + LETTER * len(array.words) for array in shown)]))


def _array(array: ArrayChange, top: int) -> tuple[str, int]:
    """One array's picture, and its height."""
    colour = COLOURS[array.kind]
    parts = [
        f'<rect x="0" y="{top + 5}" width="9" height="9" rx="2" fill="{colour}"/>',
        _text(array.words, top + LINE - 4, left=15),
    ]
    height = LINE
    if array.grid is not None:
        cells, below = _cells(array.grid, colour, top + height + 2)
        parts.append(cells)
        height += below + 2
    return "".join(parts), height + 8


def _cells(grid: Grid, colour: str, top: int) -> tuple[str, int]:
    """The grid, with cells of one colour that lie side by side drawn as one."""
    columns, step = len(grid.rows[0]), CELL
    width, height = columns * step, len(grid.rows) * step
    drawn = [f'<rect x="0" y="{top}" width="{width - GAP}" height="{height - GAP}" fill="currentColor" opacity="0.1"/>']
    for row, digits in enumerate(grid.rows):
        column = 0
        for digit, cells in groupby(digits):
            length = len(list(cells))
            if digit != "0":
                drawn.append(
                    f'<rect x="{column * step}" y="{top + row * step}" width="{length * step - GAP}" '
                    f'height="{CELL - GAP}" fill="{colour}" opacity="{0.25 + 0.75 * int(digit) / 9:.2f}"/>'
                )
            column += length
    named = f"→ {grid.across}{f', ↓ {grid.down}' if grid.down else ''}"
    drawn.append(_text(named, top + height + 10, size=10, opacity=0.7))
    return "".join(drawn), height + 14


def _text(words: str, y: int, *, left: int = 0, size: int = 12, opacity: float = 1) -> str:
    short = words if len(words) <= 105 else f"{words[:104]}…"
    return f'<text x="{left}" y="{y}" font-size="{size}" opacity="{opacity}" fill="currentColor">{escape(short)}</text>'
