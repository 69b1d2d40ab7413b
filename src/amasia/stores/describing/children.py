"""Looking at data from the control plane: in a process of its own, with bounds, so that its memory stays elsewhere."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from amasia import errors
from amasia.models.datasets import Contents, Slice, Values
from amasia.models.repositories import Lease

SECONDS = 240
"""For one answer, the start of the process included; the process itself counts its processor time."""
LIFE = 900
"""Seconds that the right to read is lent to a child for; no store lends for less."""
_LOOK = 0.5
"""Seconds between two looks whether nobody wants the answer any more."""


class Child:
    """One process that answers one request after the other; `close` it. One that failed is replaced."""

    def __init__(self, seconds: float = SECONDS, ended: threading.Event | None = None) -> None:
        self.seconds = seconds
        self._ended = ended or threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, lease: Lease) -> Contents:
        """What is in a repository.

        Raises
        ------
        Unavailable
            It took too long or too much memory.
        """
        return Contents.model_validate_json(self._ask({"verb": "describe", "lease": lease.model_dump(mode="json")}))

    def read(self, lease: Lease, wanted: Slice) -> Values:
        """A small part of one variable.

        Raises
        ------
        NotFound, InvalidRequest, Unavailable
        """
        asked = {"verb": "read", "lease": lease.model_dump(mode="json"), "slice": wanted.model_dump(mode="json")}
        return Values.model_validate_json(self._ask(asked))

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()

    def _ask(self, request: Mapping[str, Any]) -> str:
        process = self._alive()
        assert process.stdin is not None
        try:
            # Through a pipe: neither arguments nor variables ever hold a secret.
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = self._line()
        except OSError:
            line = ""
        if not line:
            died = process.poll() is not None
            self.close()
            raise errors.Unavailable(
                "The process that looks at data "
                + ("ended while it did" if died else f"was ended after {self.seconds:.0f} s")
                + ".",
                cure="Is the repository far away, or one of its chunks very large?",
            )
        answer = json.loads(line)
        if "error" in answer:
            raise errors.from_wire(answer["error"])
        return line.removeprefix('{"found":').rstrip()[:-1]

    def _line(self) -> str:
        """The next answer; empty where the process ended, the time is over, or nobody wants it any more."""
        late = time.monotonic() + self.seconds
        while time.monotonic() < late and not self._ended.is_set():
            try:
                return self._lines.get(timeout=min(_LOOK, self.seconds))
            except queue.Empty:
                continue
        return ""

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "amasia.stores.describing"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        threading.Thread(target=_listen, args=(self._process, self._lines), daemon=True).start()
        return self._process


def _listen(process: subprocess.Popen[str], lines: "queue.Queue[str]") -> None:
    """An answer a line; at the end an empty one, so that nobody waits for a process that is gone."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line)
    except (OSError, ValueError):  # closed while it was read
        pass
    lines.put("")
