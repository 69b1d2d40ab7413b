"""The publishing process of this control plane: it runs while anything is published."""

import os
from importlib.util import find_spec

from amasia.database.engine import Database
from amasia.reconcilers.children import Child
from amasia.services import publications
from amasia.settings import ServerSettings


class Publisher:
    """Starts and stops it; each start with a token of its own, and the token before ends."""

    def __init__(self, db: Database, settings: ServerSettings) -> None:
        self._db = db
        self._settings = settings
        logs = settings.home / "logs"
        self._child = Child("amasia.integrations.publishing", "publishing", logs, pause=10.0, grace=5.0)

    def look(self) -> None:
        """One round: what is published decides whether it runs."""
        if not publications.exist(self._db):
            self._child.stop()
        elif self._child.due:
            self._child.start(["--with-parent"], self._environment())

    def stop(self) -> None:
        self._child.stop()

    def _environment(self) -> dict[str, str]:
        """Without the control plane's own settings, which may hold its database's password."""
        settings = self._settings
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith("AMASIA_") or key.startswith("AMASIA_PUBLISH_")}  # fmt: skip
        return kept | {
            "AMASIA_URL": settings.url,
            "AMASIA_TOKEN": publications.new_publisher(self._db).secret,
            "AMASIA_PUBLISH_HOST": settings.host,
            "AMASIA_PUBLISH_PORT": str(settings.publish_port),
        }


def possible(settings: ServerSettings) -> bool:
    """Whether this control plane is to run one, and can."""
    return settings.publish and find_spec("xpublish") is not None


def served(settings: ServerSettings) -> bool:
    """Whether anybody serves what is published: this control plane, or another process, as its operator says."""
    return possible(settings) or not settings.publish
