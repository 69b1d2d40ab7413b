"""The publishing process of this control plane: it runs while anything is published."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec

import structlog

from amasia.database.engine import Database
from amasia.reconcilers import children
from amasia.services import publications
from amasia.settings import ServerSettings

log = structlog.get_logger()

PAUSE = 10.0
"""Seconds between two starts."""
STOP_SECONDS = 5.0


class Publisher:
    """Starts and stops it; each start with a token of its own, and the token before ends."""

    def __init__(self, db: Database, settings: ServerSettings) -> None:
        self._db = db
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._next = 0.0

    def look(self) -> None:
        """One round: what is published decides whether it runs."""
        wanted = publications.exist(self._db)
        if not wanted:
            self.stop()
        elif not self._alive() and time.monotonic() >= self._next:
            self._start()

    def stop(self) -> None:
        if self._process is None:
            return
        children.end(self._process, STOP_SECONDS)
        self._process = None

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        self._next = time.monotonic() + PAUSE
        if self._process is not None:
            log.warning("the publishing process ended", status=self._process.returncode)
        settings = self._settings
        chosen = {
            "AMASIA_URL": settings.url,
            "AMASIA_TOKEN": publications.new_publisher(self._db).secret,
            "AMASIA_PUBLISH_HOST": settings.host,
            "AMASIA_PUBLISH_PORT": str(settings.publish_port),
        }
        # Not the control plane's own settings, which may hold its database's password.
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith("AMASIA_") or key.startswith("AMASIA_PUBLISH_")}  # fmt: skip
        logs = settings.home / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / "publishing.log").open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "amasia.integrations.publishing", "--with-parent"],
                env=kept | chosen,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
            )


def possible(settings: ServerSettings) -> bool:
    """Whether this control plane is to run one, and can."""
    return settings.publish and find_spec("xpublish") is not None
