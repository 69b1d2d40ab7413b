"""Tags: made and deleted in the store, and told to the control plane. They never move."""

import icechunk

from amasia.client.refs import changing
from amasia.models import repositories as models
from amasia.models.refs import RefKind, RefVerb
from amasia.stores import refs as stores
from amasia.stores.leases import Source


def create(record: models.Repository, source: Source, repo: icechunk.Repository, name: str, snapshot: str) -> None:
    stores.check_name(name)
    with changing(record, RefKind.tag, RefVerb.create, name, snapshot):
        stores.create_tag(source, repo, name, snapshot)


def delete(record: models.Repository, source: Source, repo: icechunk.Repository, name: str) -> None:
    with changing(record, RefKind.tag, RefVerb.delete, name):
        stores.delete_tag(source, repo, name)
