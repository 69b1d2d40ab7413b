"""Branches: made, moved and deleted in the store, and told to the control plane."""

import icechunk

from amasia.client.refs import changing
from amasia.models import repositories as models
from amasia.models.refs import RefKind, RefVerb
from amasia.stores import refs as stores
from amasia.stores.leases import Source


def create(record: models.Repository, source: Source, repo: icechunk.Repository, name: str, snapshot: str) -> None:
    stores.check_name(name)
    with changing(record, RefKind.branch, RefVerb.create, name, snapshot):
        stores.create_branch(source, repo, name, snapshot)


def delete(record: models.Repository, source: Source, repo: icechunk.Repository, name: str) -> None:
    with changing(record, RefKind.branch, RefVerb.delete, name):
        stores.delete_branch(source, repo, name)


def reset(record: models.Repository, source: Source, repo: icechunk.Repository, name: str, snapshot: str) -> str:
    """The snapshot that it pointed at before."""
    with changing(record, RefKind.branch, RefVerb.reset, name, snapshot):
        return stores.reset_branch(source, repo, name, snapshot)
