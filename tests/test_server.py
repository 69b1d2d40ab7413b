import sys
from contextlib import suppress
from pathlib import Path

import pytest

from amasia import server


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_log_on_a_full_disk_loses_its_lines_and_fails_nobody(monkeypatch):
    full = Path("/dev/full").open("w")  # noqa: SIM115  # closing it fails too
    monkeypatch.setattr(sys, "stderr", full)
    with pytest.raises(OSError, match="No space left"):
        print("a line", file=full, flush=True)
    print("a line", file=server.Log(), flush=True)
    monkeypatch.undo()
    with suppress(OSError):
        full.close()
