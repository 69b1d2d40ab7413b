"""Where this process comes from: its cluster, its environment, its code."""

import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

from amasia.client.inputs import request
from amasia.environments.versions import without_stamp
from amasia.models.repositories import CommitRequest, Input
from amasia.settings import client_settings

_PACKAGE = Path(__file__).resolve().parents[1]
_COMMAND = Path(sysconfig.get_path("scripts")).resolve() / "amasia"


def commit_request(workspace: str, message: str, branch: str, inputs: tuple[Input, ...]) -> CommitRequest:
    """What the control plane is asked before a commit in a workspace, with all that this process knows of itself."""
    cluster_id, environment = cluster(workspace)
    return request(
        CommitRequest,
        branch=branch,
        message=message,
        cluster_id=cluster_id,
        inputs=inputs,
        environment_hash=environment,
        code_version=code_version(),
    )


def cluster(workspace: str) -> tuple[str | None, str]:
    """(id, environment hash) of the workspace's cluster that this process is on, or works with by the current client.

    A cluster of another workspace is on that one's bill.
    """
    settings = client_settings()
    if settings.cluster:
        return (settings.cluster, "") if settings.workspace == workspace else (None, "")
    # Whoever works with a cluster has imported distributed already; nobody else should pay for it.
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None, ""
    try:
        record = getattr(distributed.get_client().cluster, "record", None)
    except ValueError:
        return None, ""
    if record is None or record.workspace != workspace:
        return None, ""
    return record.id, record.environment_hash


def code_version() -> str:
    """``git describe`` of the running script's directory, with ``-dirty`` for uncommitted changes; else empty.

    Of a command of Amasia, which is nobody's script: ``amasia 0.1.0``.
    """
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not file:
        return ""
    script = Path(file).resolve()
    if script.is_relative_to(_PACKAGE) or script == _COMMAND:
        return f"amasia {without_stamp(version('amasia'))}"
    command = ["git", "-C", str(script.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
