"""The child: a request a line on stdin, an answer a line on stdout, with bounds on memory that the system keeps.

Only `children` starts it. It ends when its stdin does.
"""

import json
import os
import resource
import sys
from typing import Any

from pydantic import TypeAdapter

from amasia import errors
from amasia.models.datasets import Slice
from amasia.models.repositories import Lease
from amasia.stores.describing import datasets, slices

MEMORY = 2 << 30
"""Bytes of data that the process may hold, its libraries' own among them."""
SECONDS = 60
"""Of processor time for one answer; a busy machine may take longer to give them."""
_LEASE = TypeAdapter(Lease)


class Given:
    """A lease that was given along: it is used while it lasts, and not renewed."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease

    def __call__(self) -> Lease:
        return self.lease


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + SECONDS, resource.RLIM_INFINITY))
        answers.write(_answer(json.loads(line)) + "\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> str:
    try:
        source = Given(_LEASE.validate_python(request["lease"]))
        if request["verb"] == "describe":
            os.setpriority(os.PRIO_PROCESS, 0, 5)  # people who wait come first
            found = datasets.describe(source).model_dump_json()
        else:
            found = slices.read(source, Slice.model_validate(request["slice"])).model_dump_json()
    except errors.AmasiaError as error:
        return json.dumps({"error": errors.to_wire(error)})
    except MemoryError:
        problem = errors.Unavailable(f"It needs more than {MEMORY >> 20} MiB of memory to look at.")
        return json.dumps({"error": errors.to_wire(problem)})
    except Exception as error:
        problem = errors.Unavailable(f"It cannot be looked at ({type(error).__name__}: {str(error)[:200]}).")
        return json.dumps({"error": errors.to_wire(problem)})
    return '{"found":' + found + "}"


if __name__ == "__main__":
    main()
