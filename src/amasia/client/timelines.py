"""How long each machine took from the wish to the work, as bars: in a terminal, and as SVG on pages and in notebooks.

Widths are per cent, so that text keeps its size on a phone.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from rich.table import Table
from rich.text import Text

from amasia.models.machines import Machine, Step

WORDS = {
    "accepted": "machine asked for",
    "booted": "system booted",
    "joined": "machine started",
    "environment_ready": "environment ready",
    "process_up": "process up",
}
"""Each stage in words."""
COLOURS = {
    "accepted": "#8b98a9",
    "booted": "#a475c9",
    "joined": "#d29922",
    "environment_ready": "#0969da",
    "process_up": "#1a7f37",
}
LETTERS = {
    "accepted": "bright_black",
    "booted": "magenta",
    "joined": "yellow",
    "environment_ready": "blue",
    "process_up": "green",
}
"""Colours of a terminal: those of its reader's own choice."""
ROW = 38
BAR = 32
"""Letters of the longest bar in a terminal."""
MOST = 20
"""Machines in a notebook."""


def svg(machines: Sequence[Machine], at: datetime) -> str:
    """All on one scale of seconds."""
    rows = [(machine, machine.steps(at)) for machine in machines]
    longest = _longest(rows)
    drawn = "".join(_row(index, machine, steps, longest) for index, (machine, steps) in enumerate(rows))
    label = "; ".join(f"{machine.title}: {words(steps)}" for machine, steps in rows)
    return (
        f'<svg class="timeline" role="img" width="100%" height="{ROW * len(rows)}" aria-label="{escape(label)}">'
        f"{drawn}</svg>"
    )


def html(machines: Sequence[Machine], at: datetime) -> str:
    """For a notebook: no style sheet is there, so the legend brings its colours."""
    if not machines:
        return ""
    legend = " ".join(
        f'<span style="white-space:nowrap"><span style="color:{colour}">■</span> {WORDS[stage]}</span>'
        for stage, colour in COLOURS.items()
    )
    more = f"<div>and {len(machines) - MOST} more</div>" if len(machines) > MOST else ""
    return (
        f'<div style="max-width:640px">{svg(machines[:MOST], at)}{more}'
        f'<div style="font-size:12px;opacity:.7">{legend}</div></div>'
    )


def table(machines: Sequence[Machine], at: datetime) -> Table:
    """For a terminal."""
    rows = [(machine, machine.steps(at)) for machine in machines]
    longest = _longest(rows)
    drawn = Table.grid(padding=(0, 2))
    for machine, steps in rows:
        bar, done = Text(), 0.0
        for step in steps:
            # Rounded where it ends, so that the whole bar is as long as all of it.
            length = round(BAR * (done + step.seconds) / longest) - round(BAR * done / longest)
            bar.append("█" * length, style=LETTERS[step.stage])
            done += step.seconds
        drawn.add_row(machine.title, bar, Text(figure(machine, steps), justify="right"))
    legend = Text()
    for stage in dict.fromkeys(step.stage for _, steps in rows for step in steps):
        legend.append("█ ", style=LETTERS[stage]).append(f"{WORDS[stage]}  ", style="dim")
    drawn.add_row("", legend)
    return drawn


def words(steps: Sequence[Step]) -> str:
    return ", ".join(f"{WORDS[one.stage]} {one.seconds:.1f} s{'' if one.over else ' so far'}" for one in steps)


def figure(machine: Machine, steps: Sequence[Step]) -> str:
    """In all; of one that never came to work, until now or until it ended."""
    total = sum(step.seconds for step in steps)
    if machine.stages.process_up:
        return f"{total:.1f} s"
    return f"ended after {total:.0f} s" if machine.stopped_at else f"{total:.0f} s so far"


def _longest(rows: Sequence[tuple[Machine, Sequence[Step]]]) -> float:
    return max((sum(step.seconds for step in steps) for _, steps in rows), default=0) or 1.0


def _row(index: int, machine: Machine, steps: Sequence[Step], longest: float) -> str:
    top = index * ROW
    parts = [
        f'<text class="t-name" x="0" y="{top + 14}" font-size="13" fill="currentColor">{escape(machine.title)}</text>',
        f'<text class="t-total" x="100%" y="{top + 14}" font-size="13" text-anchor="end" fill="currentColor">'
        f"{figure(machine, steps)}</text>",
    ]
    left = 0.0
    for step in steps:
        width = 100 * step.seconds / longest
        said = f"{machine.title}: {words([step])}"
        parts.append(
            f'<rect class="stage-{step.stage}" x="{left:.3f}%" y="{top + 20}" width="{width:.3f}%" height="10" '
            f'fill="{COLOURS[step.stage]}"><title>{escape(said)}</title></rect>'
        )
        left += width
    return "".join(parts)
