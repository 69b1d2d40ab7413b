"""What scheduler and workers of a cluster have in common."""

import importlib.util
from typing import Any

import dask
from distributed import Security

DASHBOARD = importlib.util.find_spec("bokeh") is not None
PAGES = ("distributed.http.scheduler.info", "distributed.http.statics") if DASHBOARD else ()
"""What a dashboard is looked at with: the pages about workers and tasks, styles, scripts and pictures."""
dask.config.set(
    {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.comm.require-encryption": True,
        "distributed.scheduler.http.routes": ["distributed.http.health", *PAGES],
        "distributed.worker.http.routes": ["distributed.http.health"],
        "distributed.worker.profile.enabled": DASHBOARD,  # nobody else shows it, and it wakes up 100 times a second
        "distributed.admin.tick.interval": "200ms",
    }
)
LOCAL = "127.0.0.1:0"
"""Plain HTTP is for this machine only; people reach it through the gateway."""


def security(setup: dict[str, Any]) -> Security:
    """Mutual TLS by the cluster's own authority; one certificate serves all its members."""
    certificate, key = setup["tls_certificate"], setup["tls_key"]
    return Security(  # type: ignore[no-untyped-call]
        tls_ca_file=setup["tls_ca"],
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
        tls_client_cert=certificate,
        tls_client_key=key,
        require_encryption=True,
    )
