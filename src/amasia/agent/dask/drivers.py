"""What a scheduler's machine does for its cluster's owner: the refresh of a view, in a process of its own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from typing import Any

KEYS = ("tls_ca", "tls_certificate", "tls_key")


async def drive(refresh: str, address: str, setup: Mapping[str, Any]) -> str:
    """Begin it and wait for its end; how it ended, in words. The address and the keys go through a pipe."""
    command = [sys.executable, "-m", "amasia.agent.dask.refreshes", refresh, str(os.getpid())]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE)
    told = {key: setup[key] for key in KEYS} | {"address": address, "workers": setup["spec"]["n_workers"]}
    await process.communicate(json.dumps(told).encode())
    if process.returncode == 0:
        return "its refresh is over"
    if process.returncode is not None and process.returncode < 0:
        return f"its refresh was killed by signal {-process.returncode}; where that is 9, it most likely lacked memory"
    return f"its refresh ended with status {process.returncode}; its log tells why"
