"""What a Dask process is told at its start: variables for tasks, and a first instruction that holds the secrets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amasia.models.clusters import GPU, ClusterSpec
from amasia.models.machines import Assignment, Boot, MachineRole

DROPPED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "CONDA_PREFIX")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
SCRATCH = "scratch"
"""Directory of a machine that holds what its worker spills."""


def environ(
    assignment: Assignment, boot: Boot, code: Path | None, inherited: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    """The variables of the Dask process, and so of every task that runs in it."""
    kept = {
        key: value
        for key, value in inherited.items()
        if key not in DROPPED and not key.startswith(("AMASIA_", "DASK_"))
    }
    machine = assignment.machine
    return (
        kept
        | {name: str(nthreads(machine.cpus)) for name in THREADS}
        | {
            "AMASIA_URL": boot.control_plane,
            "AMASIA_TOKEN": assignment.owner_token,
            "AMASIA_CLUSTER": machine.cluster_id,
            "AMASIA_WORKSPACE": machine.workspace,
            "MALLOC_TRIM_THRESHOLD_": "65536",
        }
        | {name: inherited[name] for name in ("AMASIA_CA",) if name in inherited}  # trusted by its tasks, too
        | ({"PYTHONPATH": str(code)} if code else {})
        | dict(secrets)
    )


def first_instruction(assignment: Assignment, home: Path, host: str) -> dict[str, Any]:
    machine = assignment.machine
    return {
        "name": machine.id,
        "label": f"{machine.role} {machine.index} of {machine.cluster}",
        "host": host,
        "nthreads": nthreads(machine.cpus),
        "memory_limit": machine.memory,
        "resources": resources(assignment),
        "directory": str(home / SCRATCH),
        "tls_ca": assignment.tls_ca,
        "tls_certificate": assignment.tls_certificate,
        "tls_key": assignment.tls_key,
        "spec": assignment.spec,
    }


def resources(assignment: Assignment) -> dict[str, float]:
    """What tasks may ask a worker for: its group, as often as it has threads, and its GPUs.

    A task that asks for one of its group's name so takes one thread, as every task does.
    """
    machine = assignment.machine
    if machine.role is MachineRole.scheduler:
        return {}
    group = {machine.group: float(nthreads(machine.cpus))} if machine.group else {}
    spec = ClusterSpec.model_validate(assignment.spec)
    gpus = spec.groups[machine.group].worker_gpu
    return group | ({GPU: float(gpus)} if gpus else {})


def nthreads(cpus: float) -> int:
    return max(1, int(cpus))
