"""Pictures: plain functions from data to SVG. Widths are per cent, so that text keeps its size on a phone."""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from amasia.models.budgets import Budget
from amasia.models.machines import Machine
from amasia.models.money import show

STAGES = (
    ("accepted", "machine asked for"),
    ("joined", "machine started"),
    ("environment_ready", "environment ready"),
    ("process_up", "process up"),
)
"""Each stage by the name of the moment that ends it, and in words."""

ROW = 38
COLOURS = ("#8b98a9", "#d29922", "#0969da", "#1a7f37")


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


def timeline(machines: Sequence[Machine], at: datetime) -> str:
    """How long each machine took to be of use, stage by stage, on one scale of seconds."""
    rows = [(_name(machine), _steps(machine, at)) for machine in machines]
    longest = max((sum(seconds for _, seconds, _ in steps) for _, steps in rows), default=0) or 1.0
    drawn = "".join(_row(index, name, steps, longest) for index, (name, steps) in enumerate(rows))
    label = "; ".join(f"{name}: {_words(steps)}" for name, steps in rows)
    return (
        f'<svg class="timeline" role="img" width="100%" height="{ROW * len(rows)}" aria-label="{escape(label)}">'
        f"{drawn}</svg>"
    )


def _steps(machine: Machine, at: datetime) -> list[tuple[int, float, bool]]:
    """(stage, seconds, whether it is over) of each stage that was entered."""
    steps = []
    begin = machine.stages.requested
    for index, (name, _) in enumerate(STAGES):
        reached: datetime | None = getattr(machine.stages, name)
        end = reached or machine.stopped_at or at
        steps.append((index, max(0.0, (end - begin).total_seconds()), reached is not None))
        if reached is None:
            break
        begin = reached
    return steps


def _row(index: int, name: str, steps: list[tuple[int, float, bool]], longest: float) -> str:
    top = index * ROW
    total = sum(seconds for _, seconds, _ in steps)
    ready = len(steps) == len(STAGES) and steps[-1][2]
    figure = f"{total:.1f} s" if ready else f"{total:.0f} s so far"
    parts = [
        f'<text class="t-name" x="0" y="{top + 14}" font-size="13" fill="currentColor">{escape(name)}</text>',
        f'<text class="t-total" x="100%" y="{top + 14}" font-size="13" text-anchor="end" fill="currentColor">'
        f"{figure}</text>",
    ]
    left = 0.0
    for stage, seconds, over in steps:
        width = 100 * seconds / longest
        said = f"{name}: {STAGES[stage][1]} {seconds:.1f} s{'' if over else ' so far'}"
        parts.append(
            f'<rect class="stage-{stage}" x="{left:.3f}%" y="{top + 20}" width="{width:.3f}%" height="10" '
            f'fill="{COLOURS[stage]}"><title>{escape(said)}</title></rect>'
        )
        left += width
    return "".join(parts)


def _words(steps: list[tuple[int, float, bool]]) -> str:
    return ", ".join(f"{STAGES[stage][1]} {seconds:.1f} s{'' if over else ' so far'}" for stage, seconds, over in steps)


def _name(machine: Machine) -> str:
    return "scheduler" if machine.role.value == "scheduler" else f"worker {machine.index}"


def _percent(part: int, whole: int) -> float:
    return min(100.0, 100 * max(0, part) / whole) if whole > 0 else 0.0
