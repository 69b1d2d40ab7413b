"""A process that a reconciler keeps running."""

import os
import time
from pathlib import Path

import pytest

from amasia.reconcilers.children import Child

MODULE = """
import os, signal, sys
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "sleeper.py").write_text(MODULE)
    return os.environ | {"PYTHONPATH": str(tmp_path)}


def _pids(logs: Path, count: int) -> list[int]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = (logs / "sleeper.log").read_text().split()
        if len(found) == count:
            return [int(one) for one in found]
        time.sleep(0.02)
    raise TimeoutError(found)


def test_a_process_that_died_is_due_again_only_after_its_pause(tmp_path: Path, env: dict[str, str]) -> None:
    child = Child("sleeper", "sleeper", tmp_path / "logs", pause=1.0, grace=5.0)
    assert child.due
    begun = time.monotonic()
    child.start([], env)
    (pid,) = _pids(tmp_path / "logs", 1)
    assert not child.due
    os.kill(pid, 9)
    while not child.due:
        time.sleep(0.01)
    assert time.monotonic() - begun >= 1
    child.start([], env)
    assert len(set(_pids(tmp_path / "logs", 2))) == 2
    child.stop()


@pytest.mark.parametrize("arguments", [[], ["deaf"]])
def test_a_stopped_process_is_gone_even_if_it_does_not_listen(
    tmp_path: Path, env: dict[str, str], arguments: list[str]
) -> None:
    child = Child("sleeper", "sleeper", tmp_path / "logs", pause=0.0, grace=0.5)
    child.start(arguments, env)
    (pid,) = _pids(tmp_path / "logs", 1)
    child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    child.stop()
