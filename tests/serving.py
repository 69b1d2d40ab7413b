"""An application on a real port, for tests whose clients are real too: browsers, processes, Zarr."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from amasia import ports
from amasia.testing.waiting import wait


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """The application on this port, 0 for a free one; its URL."""
    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    with socket.create_server((ports.LOOPBACK, port)) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait(lambda: running.started, 60, pause=0.02)
        yield f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
        running.should_exit = True
        thread.join(20)
