import subprocess
import sys

import pytest

import amasia

HEAVY_SERVER = {"fastapi", "starlette", "sqlalchemy", "alembic", "uvicorn", "structlog", "boto3", "psycopg", "argon2"}


def modules_after(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in ran.stdout.split()}


def test_there_are_these_public_names_and_no_others() -> None:
    assert sorted(amasia.__all__) == [
        "Cluster", "View", "__version__", "accounts", "alerts", "budgets", "channels", "cleanings", "clusters", "costs",
        "datasets", "errors", "events", "grants", "groups", "keys", "limits", "locations", "open_repo", "publications",
        "refreshes", "refs", "repositories", "search", "secrets", "service_accounts",
        "standbys", "users", "view", "views", "workspaces",
    ]  # fmt: skip
    assert dir(amasia) == sorted(amasia.__all__)


def test_importing_amasia_loads_nothing_heavy() -> None:
    assert not modules_after("import amasia") & {"dask", "distributed", "xarray", "icechunk", "pydantic", "httpx2"}


def test_importing_amasia_takes_less_than_50_ms() -> None:
    def seconds() -> float:
        code = "from time import process_time as t; a = t(); import amasia; print(t() - a)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    assert min(seconds() for _ in range(5)) < 0.05


def test_every_noun_is_found_under_its_name() -> None:
    for name in (
        "accounts",
        "budgets",
        "cleanings",
        "clusters",
        "costs",
        "errors",
        "events",
        "locations",
        "workspaces",
    ):
        assert getattr(amasia, name).__name__.endswith(f".{name}")
    assert amasia.__version__.count(".") == 2


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Klaster'"):
        amasia.Klaster  # noqa: B018


def test_the_verbs_of_clusters_need_neither_dask_nor_the_server() -> None:
    assert not modules_after("import amasia.client.clusters") & (HEAVY_SERVER | {"dask", "distributed", "xarray"})


def test_cluster_needs_none_of_the_servers_libraries() -> None:
    assert not modules_after("import amasia; amasia.Cluster") & HEAVY_SERVER
