"""Datasets for notebooks: cards with a preview, readable on light and on dark."""

from collections.abc import Sequence
from html import escape

from amasia.models.datasets import Dataset

_CARD = "border:1px solid rgba(128,128,128,.35);border-radius:8px;padding:10px 12px;width:260px;box-sizing:border-box"
_FAINT = "opacity:.7;font-size:12px"


def datasets(found: Sequence[Dataset]) -> str:
    """A card for each dataset."""
    if not found:
        return "<p>No dataset fits.</p>"
    cards = "".join(_card(one) for one in found)
    return f"<div style='display:flex;flex-wrap:wrap;gap:12px;color:inherit;font-family:sans-serif'>{cards}</div>"


def _card(one: Dataset) -> str:
    where = one.repository if one.group == "/" else f"{one.repository} {one.group}"
    facts = "<br>".join(escape(fact) for fact in (", ".join(one.names[:4]), one.when, one.where) if fact)
    return (
        f"<div style='{_CARD}'>{one.thumbnail}<strong>{escape(one.title or where)}</strong>"
        f"<div style='{_FAINT}'><code>{escape(where)}</code><br>{facts}</div></div>"
    )
