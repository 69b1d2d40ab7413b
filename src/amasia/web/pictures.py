"""Pictures: plain functions from data to SVG. Widths are per cent, so that text keeps its size on a phone."""

from html import escape

from amasia.models.budgets import Budget
from amasia.models.money import show


def budget(found: Budget) -> str:
    """Spent and reserved as parts of the limit."""
    label = (
        f"{show(found.spent, found.currency)} spent and {show(found.reserved, found.currency)} reserved "
        f"of {show(found.limit, found.currency)}"
    )
    spent = _percent(found.spent, found.limit)
    reserved = min(100 - spent, _percent(found.reserved, found.limit))
    return (
        f'<svg class="bar" role="img" width="100%" height="8" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>"
        '<rect class="bar-all" width="100%" height="8" rx="4" fill="#d0d7de"/>'
        f'<rect class="bar-reserved" width="{spent + reserved:.2f}%" height="8" rx="4" fill="#d29922"/>'
        f'<rect class="bar-spent" width="{spent:.2f}%" height="8" rx="4" fill="#0969da"/></svg>'
    )


def share(part: int, whole: int) -> str:
    """One part of a whole, as a thin bar; decoration beside the figure itself."""
    return (
        '<svg class="part" aria-hidden="true" width="100%" height="4">'
        '<rect class="bar-all" width="100%" height="4" rx="2" fill="#d0d7de"/>'
        f'<rect class="bar-spent" width="{_percent(part, whole):.2f}%" height="4" rx="2" fill="#0969da"/></svg>'
    )


def _percent(part: int, whole: int) -> float:
    return min(100.0, 100 * max(0, part) / whole) if whole > 0 else 0.0
