"""Pictures of nouns for notebooks: plain data to self-contained HTML, readable on light and on dark."""

from collections.abc import Iterable, Sequence
from html import escape

from amasia.models.money import show
from amasia.models.repositories import Commit, Repository

_STYLE = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"


def repository(record: Repository, commits: Sequence[Commit], groups: Iterable[str]) -> str:
    """A repository: where it is, what is in it, its last commits."""
    rows = "".join(_row(_cells(commit)) for commit in commits)
    head = _row(("snapshot", "message", "by", "from", "cost"), tag="th")
    return (
        "<div style='color:inherit;font-family:sans-serif'>"
        f"<strong>{escape(record.full_name)}</strong> "
        f"<span style='opacity:.7'>in bucket {escape(record.bucket)}; groups: {escape(', '.join(groups) or 'none yet')}"
        "</span>"
        f"<table style='border-collapse:collapse'>{head}{rows}</table></div>"
    )


def _cells(commit: Commit) -> tuple[str, ...]:
    origin = commit.provenance
    if origin is None:
        return commit.snapshot, commit.message, "", "", ""
    inputs = ", ".join(map(str, origin.inputs))
    cost = show(origin.amount, origin.currency) if origin.amount else ""
    return commit.snapshot, commit.message, origin.user, inputs, cost


def _row(cells: Iterable[str], tag: str = "td") -> str:
    inner = "".join(f"<{tag} style='{_STYLE}'>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"
