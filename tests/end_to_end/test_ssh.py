"""The whole story on hosts by SSH: added, checked, computed on, committed, stopped; nothing is left."""

from pathlib import Path

import pytest

from show import hosts, labs, planes, stories

LACKING = hosts.missing()


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
@pytest.mark.timeout(300)
def test_a_cluster_on_hosts_computes_commits_and_leaves_nothing(tmp_path: Path, shared_cache: Path) -> None:
    settings = {"AMASIA_LEASE_SECONDS": "60", "AMASIA_HEARTBEAT_SECONDS": "1", "AMASIA_JOIN_SECONDS": "120"}
    with labs.lab(tmp_path, shared_cache, 2, settings, slots=2, cpus=2, memory="2 GiB") as lab:
        told = stories.tell(lab.plane, "lab", lab.environment)
        assert set(told["hosts"]) <= {"h1", "h2"}
        assert told["users"] == ["amasia-demo"]
        labs.wait(lambda: not any(lab.machines().values()), 60)
        removed = lab.plane.amasia("location", "remove", "lab", "--yes")
        assert removed.returncode == 0, planes.show_error(removed)
