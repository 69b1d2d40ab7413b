"""The two pipes between a Dask process and its agent."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG = 1


class Channel:
    """JSON lines: instructions come in, news go out. When the agent is gone, so is this process."""

    def __init__(self, instructions: int, news: int) -> None:
        self._instructions, self._news = instructions, news
        self._rest = b""
        for descriptor in (instructions, news):
            os.set_inheritable(descriptor, False)

    def first(self) -> dict[str, Any]:
        """The first instruction; waits for it."""
        while b"\n" not in self._rest:
            self._take()
        line, _, self._rest = self._rest.partition(b"\n")
        return dict(json.loads(line))

    def listen(self, handle: Callable[[dict[str, Any]], None]) -> None:
        """Hand over every later instruction, in the running event loop."""

        def ready() -> None:
            self._take()
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                handle(json.loads(line))

        asyncio.get_running_loop().add_reader(self._instructions, ready)
        if b"\n" in self._rest:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                handle(json.loads(line))

    def say(self, **news: Any) -> None:
        os.write(self._news, json.dumps(news).encode() + b"\n")

    def _take(self) -> None:
        piece = os.read(self._instructions, 65536)
        if not piece:
            os.killpg(0, signal.SIGKILL)
        self._rest += piece


def die_with(agent: int) -> None:
    """Let the kernel kill this process when its agent dies, however the agent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent:
        os._exit(1)
