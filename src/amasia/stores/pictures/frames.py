"""What maps, planes and lines share: the frame, its colours from the page around it, and numbers as people write them.

Everything is drawn in ``currentColor``, so that the same text is right on a light and on a dark page, and nothing needs
a style sheet, which a page's security policy may refuse.
"""

from html import escape

from amasia.stores.pictures.rasters import Scale

WIDTH = 480
"""Of every picture, in its own units."""
BAR = 28
"""Height of what is below a map: the scale and its numbers."""
_BAR_WIDTH = 110


def frame(inner: str, height: float, label: str) -> str:
    """The whole picture, with what it shows for those who cannot see it."""
    said = escape(clean(label), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height:.0f}" width="100%" '
        f'font-family="system-ui,sans-serif" font-size="12" fill="currentColor" aria-label="{said}">'
        f"<title>{said}</title>{inner}</svg>"
    )


def legend(found: Scale, top: float, units: str, note: str = "") -> str:
    """A bar of the scale's colours between its smallest and largest number."""
    low, each = number(found.low), _BAR_WIDTH / len(found.anchors)
    left = 10 + 7 * len(low)
    cells = "".join(
        f'<rect x="{left + at * each:.1f}" y="{top + 10:.0f}" width="{each + 0.5:.1f}" height="8" fill="#{colour}"/>'
        for at, colour in enumerate(found.anchors)
    )
    words = f"{number(found.high)} {units}".strip()
    room = (WIDTH - left - _BAR_WIDTH - 7 * len(words) - 30) // 7
    beside = note if len(note) <= room else f"{note[: max(room - 1, 0)]}…" if room > 8 else ""
    return (
        f"{cells}{words_at(0, top + 18, low)}{words_at(left + _BAR_WIDTH + 8, top + 18, words)}"
        f"{words_at(WIDTH, top + 18, beside, 'end', 0.65)}"
    )


def words_at(x: float, y: float, text: str, anchor: str = "start", opacity: float = 1) -> str:
    if not text:
        return ""
    faint = f' opacity="{opacity}"' if opacity < 1 else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{faint}>{escape(clean(text))}</text>'


def number(value: float) -> str:
    """Four significant digits, with a true minus sign."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def clean(text: str) -> str:
    """Without control characters, which no XML holds."""
    return "".join(letter for letter in text if letter.isprintable())
