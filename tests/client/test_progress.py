import io
import sys

import pytest
from rich.console import Console

from amasia.client import progress
from amasia.client.progress import Stages


def test_without_a_terminal_each_ended_stage_is_one_plain_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages("Cluster demo", ["environment", "requested"]) as stages:
        stages.begin("environment", "locking")
        stages.begin("environment", "building")
        stages.finish("environment", "1 wheel", seconds=0.84)
        stages.note("3 machines")
        stages.finish("requested", seconds=0.04)
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines() == ["Cluster demo", "  ✓ environment 0.8 s, 1 wheel", "3 machines", "  ✓ requested 0.0 s"]


def test_what_goes_on_at_the_end_is_done_and_at_an_error_has_failed() -> None:
    with Stages("good", quiet=True) as good:
        good.begin("work")
    assert good["work"].state == "done"
    bad = Stages("bad", quiet=True)
    bad.begin("work")
    with pytest.raises(ZeroDivisionError), bad:
        _ = 1 / 0
    assert bad["work"].state == "failed"


@pytest.mark.parametrize("end", [KeyboardInterrupt, ZeroDivisionError])
def test_only_whoever_stops_waiting_is_told_what_goes_on(end: type, capsys: pytest.CaptureFixture[str]) -> None:
    stages = Stages("Stopping demo")
    stages.left_behind = "It goes on stopping."
    with pytest.raises(end), stages:
        raise end
    told = capsys.readouterr().err.splitlines()[-1] == "It goes on stopping."
    assert told == (end is KeyboardInterrupt)


def test_quiet_shows_nothing_and_keeps_the_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages("x", ["never"], quiet=True) as stages:
        stages.finish("one", seconds=1.5)
        stages.finish("one", seconds=9.0)  # a stage ends once
        stages.note("hello")
    assert stages.seconds == {"one": 1.5}
    assert capsys.readouterr() == ("", "")


def test_a_terminal_keeps_the_last_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(progress, "_view", lambda: progress._Terminal(console))
    with Stages("Cluster demo", ["environment", "later"]) as stages:
        stages.begin("environment")
        stages.finish("environment", "all [there]", seconds=2)
    assert isinstance(console.file, io.StringIO)
    last = console.file.getvalue().strip("\x1b[?25hl\n").splitlines()[-3:]
    assert "Cluster demo" in last[0]
    assert "✓" in last[1]
    assert "2.0 s" in last[1]
    assert "all [there]" in last[1]
    assert "later" in last[2]


def test_a_notebook_gets_one_output_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handle:
        pages: list[str] = []

        def update(self, page: str) -> None:
            self.pages.append(page)

    class Shell:
        kernel = object()

    class IPython:
        get_ipython = staticmethod(Shell)

    class Display:
        HTML = staticmethod(str)
        display = staticmethod(lambda page, display_id: Handle())

    monkeypatch.setitem(sys.modules, "IPython", IPython())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", Display())  # type: ignore[arg-type]
    with Stages("a <b>") as stages:
        stages.finish("one", seconds=1)
        stages.note("x < y")
    assert Handle.pages == ["<b>a &lt;b&gt;</b><br>✓ one 1.0 s", "<b>a &lt;b&gt;</b><br>✓ one 1.0 s<br>x &lt; y"]
