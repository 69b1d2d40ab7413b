"""``python -m amasia.agent.dask.refreshes VIEW/REFRESH SCHEDULER-PID``; started beside a scheduler only."""

import json
import os
import sys
import traceback

from amasia.agent.dask.channel import die_with

refresh, scheduler = sys.argv[1:]
die_with(int(scheduler))  # before anything is imported that takes time

from distributed import Client  # noqa: E402

from amasia import errors  # noqa: E402
from amasia.agent.dask.setups import security  # noqa: E402
from amasia.client import refreshes  # noqa: E402

WORKERS_SECONDS = 300

told = json.load(sys.stdin)
view, _, refresh_id = refresh.partition("/")
try:
    if told["workers"]:
        # The default client from here on: what is computed, is computed there.
        client = Client(told["address"], security=security(told))  # type: ignore[no-untyped-call]
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    done = refreshes.here(view, refresh_id=refresh_id)
    print(f"refresh of {view}: {len(done.applied)} commits applied", flush=True)
except errors.AmasiaError as error:
    print(f"refresh of {view}: {error}", flush=True)
except Exception:
    traceback.print_exc()
# Whatever it was, the control plane was told. Threads of the computation must not hold the machine.
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
