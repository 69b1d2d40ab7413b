"""Amasia: versioned geoscience data and Dask machines, with budgets that hold.

Every public name is loaded when it is first used, so that ``import amasia`` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amasia import errors as errors
    from amasia.client import accounts as accounts
    from amasia.client import alerts as alerts
    from amasia.client import budgets as budgets
    from amasia.client import channels as channels
    from amasia.client import cleanings as cleanings
    from amasia.client import clusters as clusters
    from amasia.client import costs as costs
    from amasia.client import datasets as datasets
    from amasia.client import events as events
    from amasia.client import grants as grants
    from amasia.client import groups as groups
    from amasia.client import keys as keys
    from amasia.client import limits as limits
    from amasia.client import locations as locations
    from amasia.client import publications as publications
    from amasia.client import refreshes as refreshes
    from amasia.client import refs as refs
    from amasia.client import repositories as repositories
    from amasia.client import secrets as secrets
    from amasia.client import service_accounts as service_accounts
    from amasia.client import standbys as standbys
    from amasia.client import users as users
    from amasia.client import views as views
    from amasia.client import workspaces as workspaces
    from amasia.client.arrays import open_repo as open_repo
    from amasia.client.dask import Cluster as Cluster
    from amasia.client.datasets import search as search
    from amasia.client.definitions import View as View
    from amasia.client.definitions import view as view

    __version__: str

_WHERE = {
    "Cluster": "amasia.client.dask:Cluster",
    "View": "amasia.client.definitions:View",
    "accounts": "amasia.client.accounts",
    "alerts": "amasia.client.alerts",
    "budgets": "amasia.client.budgets",
    "channels": "amasia.client.channels",
    "cleanings": "amasia.client.cleanings",
    "clusters": "amasia.client.clusters",
    "costs": "amasia.client.costs",
    "datasets": "amasia.client.datasets",
    "errors": "amasia.errors",
    "events": "amasia.client.events",
    "keys": "amasia.client.keys",
    "limits": "amasia.client.limits",
    "locations": "amasia.client.locations",
    "standbys": "amasia.client.standbys",
    "users": "amasia.client.users",
    "service_accounts": "amasia.client.service_accounts",
    "groups": "amasia.client.groups",
    "grants": "amasia.client.grants",
    "refs": "amasia.client.refs",
    "open_repo": "amasia.client.arrays:open_repo",
    "refreshes": "amasia.client.refreshes",
    "publications": "amasia.client.publications",
    "repositories": "amasia.client.repositories",
    "view": "amasia.client.definitions:view",
    "views": "amasia.client.views",
    "secrets": "amasia.client.secrets",
    "search": "amasia.client.datasets:search",
    "workspaces": "amasia.client.workspaces",
}

__all__ = [*_WHERE, "__version__"]  # noqa: PLE0604  # one list of the names, and one of where they live


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("amasia")  # 40 ms that most never need
    if name not in _WHERE:
        raise AttributeError(f"module 'amasia' has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    found = import_module(module)
    globals()[name] = value = getattr(found, attribute) if attribute else found
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
