"""Pictures of nouns for notebooks: plain data to self-contained HTML, readable on light and on dark."""

from collections.abc import Iterable, Sequence
from html import escape

from amasia.models.money import show
from amasia.models.repositories import Commit, Repository
from amasia.models.views import Refresh, View

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


def view(record: View, refreshes: Sequence[Refresh]) -> str:
    """A view: how current it is, what depends on what, its last refreshes."""
    head = _row(("refresh", "status", "commits", "computed", "skipped", "machines", "why"), tag="th")
    rows = "".join(_row(_refresh_cells(one)) for one in refreshes)
    behind = f", {record.lag} commits behind" if record.lag else ""
    reason = f"<p>{escape(record.reason)}</p>" if record.reason else ""
    return (
        "<div style='color:inherit;font-family:sans-serif'>"
        f"<strong>{escape(record.full_name)}</strong> <span style='opacity:.7'>{escape(record.source)} to "
        f"{escape(record.target)} along {escape(record.along)}: {record.status.value}{behind}</span>{reason}"
        f"<p style='white-space:pre-wrap'>{escape(record.plan)}</p>"
        f"<table style='border-collapse:collapse'>{head}{rows}</table></div>"
    )


def undeployed_view(name: str, source: str, target: str) -> str:
    """A view that the control plane does not know."""
    return (
        f"<div style='color:inherit;font-family:sans-serif'><strong>{escape(name)}</strong> "
        f"<span style='opacity:.7'>{escape(source)} to {escape(target)}: not deployed yet</span></div>"
    )


def _refresh_cells(one: Refresh) -> tuple[str, ...]:
    computed = "; ".join(part for applied in one.applied for part in applied.computed)
    skipped = "; ".join(applied.skipped for applied in one.applied if applied.skipped)
    at, time = f"{one.requested_at:%Y-%m-%d %H:%M}", f"{one.milliseconds / 1000:.1f} s"
    return at, one.status.value, str(len(one.applied)), computed, skipped, time, one.reason
