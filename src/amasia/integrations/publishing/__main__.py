"""``python -m amasia.integrations.publishing``: serve what is published, with the token of ``AMASIA_TOKEN``."""

import os
import resource
import sys
import threading

import structlog
import uvicorn

from amasia.integrations.publishing import app
from amasia.settings import PublishSettings, client_settings

WITH_PARENT = "--with-parent"
"""End when stdin does: whoever holds its other end is gone, however it went."""


def main() -> None:
    settings, client = PublishSettings(), client_settings()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if WITH_PARENT in sys.argv:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if settings.publish_memory:
        resource.setrlimit(resource.RLIMIT_DATA, (settings.publish_memory, settings.publish_memory))
    uvicorn.run(
        app.create(settings, client.url),
        host=settings.publish_host,
        port=settings.publish_port,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
