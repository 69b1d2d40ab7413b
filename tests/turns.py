"""Which process runs which tests, and in which order.

The tests of a file are run by one process, one after the other, and so are those of all files that use the same server,
which is started once. What takes longest begins first, and what has many short tests comes last, so that no process is
left alone at the end.
"""

from xdist.scheduler import LoadFileScheduling

LONG = (
    (
        *(f"tests/end_to_end/test_{name}.py" for name in ("stores", "views", "ingests", "clusters", "clouds")),
        *(f"tests/end_to_end/test_{name}.py" for name in ("secrets", "refusals", "leases")),
    ),
    ("tests/cli/test_server.py",),
    (
        *(f"tests/client/test_{name}.py" for name in ("landing", "repositories", "refs", "views")),
        "tests/integrations/test_xarray.py",
    ),
    ("tests/end_to_end/test_aws.py", "tests/end_to_end/test_sites.py"),
    ("tests/web/test_tour.py",),
    ("tests/web/test_oidc.py",),
    ("tests/agent/test_machines.py",),
    ("tests/agent/test_scaling.py",),
)
"""Files that one process runs together, by how long they take."""
SHORT = ("tests/services/", "tests/docs/", "tests/models/")


def unit(nodeid: str) -> str:
    """The first of the files that are run together with this one."""
    file = nodeid.partition("::")[0]
    return next((files[0] for files in LONG if file in files), file)


def place(nodeid: str) -> int:
    """The lower, the earlier."""
    first = unit(nodeid)
    found = next((number for number, files in enumerate(LONG) if files[0] == first), len(LONG))
    return found + first.startswith(SHORT)


class Turns(LoadFileScheduling):
    """xdist's own, by file, in the order in which the tests were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
