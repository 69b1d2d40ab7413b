"""The one way to show that something slow gets on: named stages with their seconds, on stderr.

A terminal gets a live picture, a notebook one cell output that changes, anything else plain lines.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from time import monotonic
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

MARKS = {"waiting": "·", "doing": "…", "done": "✓", "failed": "✗"}
STYLES = {"waiting": "dim", "doing": "cyan", "done": "green", "failed": "bold red"}


@dataclass
class Stage:
    """One step: what it is called, how far it is, and how long it took."""

    name: str
    state: str = "waiting"
    detail: str = ""
    began: float | None = None
    seconds: float | None = None

    @property
    def elapsed(self) -> float | None:
        if self.seconds is not None:
            return self.seconds
        return None if self.began is None or self.state != "doing" else monotonic() - self.began


class View(Protocol):
    """Where stages are shown."""

    def open(self, stages: "Stages") -> None: ...
    def changed(self, stage: Stage) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self) -> None: ...


class Stages:
    """Steps of something slow, in their order; use it in a ``with``.

    Parameters
    ----------
    title
        What is going on, such as ``Cluster demo``.
    names
        Stages known beforehand; others are added when they are first named.
    quiet
        Keep the seconds and show nothing.

    Examples
    --------
    >>> with Stages("Ingest a.nc", ["read", "write"], quiet=True) as stages:
    ...     stages.begin("read")
    ...     stages.finish("read", "3 variables")
    ...     stages.begin("write")
    >>> stages["write"].state
    'done'
    """

    def __init__(self, title: str, names: Iterable[str] = (), *, quiet: bool = False) -> None:
        self.title = title
        self.left_behind = ""
        """What goes on without whoever waits here; told when they press Ctrl-C."""
        self._stages = {name: Stage(name) for name in names}
        self._view: View = _Quiet() if quiet else _view()

    def __enter__(self) -> Self:
        self._view.open(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for stage in self._stages.values():
            if stage.state == "doing":
                self._end(stage, "failed" if error else "done", "", None)
        if kind is KeyboardInterrupt and self.left_behind:
            self.note(self.left_behind)
        self._view.close()

    def __getitem__(self, name: str) -> Stage:
        return self._stages.setdefault(name, Stage(name))

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    @property
    def seconds(self) -> dict[str, float]:
        """Of the stages that ended."""
        return {stage.name: stage.seconds for stage in self if stage.seconds is not None}

    def expect(self, names: Iterable[str]) -> None:
        """Stages that come later, to be shown as waiting."""
        for name in names:
            self._stages.setdefault(name, Stage(name))

    def begin(self, name: str, detail: str = "") -> None:
        """A stage goes on from here; naming it again changes its detail."""
        stage = self[name]
        if stage.state == "doing" and stage.detail == detail:
            return
        stage.began = stage.began or monotonic()
        stage.state, stage.detail = "doing", detail
        self._view.changed(stage)

    def finish(self, name: str, detail: str = "", *, seconds: float | None = None) -> None:
        """A stage ended well; ``seconds`` where they were measured elsewhere."""
        if self[name].state != "done":
            self._end(self[name], "done", detail, seconds)

    def fail(self, name: str, detail: str = "") -> None:
        """A stage ended badly."""
        self._end(self[name], "failed", detail, None)

    def note(self, text: str) -> None:
        """A sentence beside the stages."""
        self._view.note(text)

    def _end(self, stage: Stage, state: str, detail: str, seconds: float | None) -> None:
        stage.seconds = stage.elapsed if seconds is None else seconds
        stage.state, stage.detail = state, detail or stage.detail
        self._view.changed(stage)


def describe(stage: Stage) -> str:
    """``✓ environment 0.8 s, 1 wheel built``."""
    time = "" if stage.elapsed is None else f" {stage.elapsed:.1f} s"
    return f"{MARKS[stage.state]} {stage.name}{time}" + (f", {stage.detail}" if stage.detail else "")


def _view() -> View:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is not None:
        return _Notebook()
    console = Console(stderr=True, highlight=False)
    return _Terminal(console) if console.is_terminal and not console.is_dumb_terminal else _Lines()


class _Quiet:
    def open(self, stages: Stages) -> None:
        pass

    def changed(self, stage: Stage) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Lines(_Quiet):
    """One line for each stage that ended."""

    def open(self, stages: Stages) -> None:
        self.note(stages.title)

    def changed(self, stage: Stage) -> None:
        if stage.state in ("done", "failed"):
            self.note(f"  {describe(stage)}")

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class _Terminal(_Quiet):
    """A picture that changes in place, and stays when all is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinners: dict[str, Spinner] = {}

    def open(self, stages: Stages) -> None:
        self._stages = stages
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8)
        self._live.start()

    def note(self, text: str) -> None:
        self._live.console.print(Text(text))

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for stage in self._stages:
            time = "" if stage.elapsed is None else f"{stage.elapsed:.1f} s"
            style = STYLES[stage.state]
            name = Text(stage.name, style="dim" if stage.state == "waiting" else "")
            table.add_row(self._mark(stage), name, Text(time, style=style, justify="right"), Text(stage.detail, "dim"))
        return Group(Text(self._stages.title, style="bold"), table)

    def _mark(self, stage: Stage) -> RenderableType:
        if stage.state == "doing":
            return self._spinners.setdefault(stage.name, Spinner("dots", style="cyan"))
        return Text(MARKS[stage.state], style=STYLES[stage.state])


class _Notebook(_Quiet):
    """One output of the cell, replaced at each change."""

    def open(self, stages: Stages) -> None:
        self._stages, self._notes = stages, list[str]()
        self._handle = self._show({"display_id": True})

    def changed(self, stage: Stage) -> None:
        self._handle.update(self._html())

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._handle.update(self._html())

    def _show(self, options: dict[str, Any]) -> Any:
        return sys.modules["IPython.display"].display(self._html(), **options)

    def _html(self) -> Any:
        rows = [f"<b>{escape(self._stages.title)}</b>", *(escape(describe(stage)) for stage in self._stages)]
        return sys.modules["IPython.display"].HTML("<br>".join([*rows, *map(escape, self._notes)]))
