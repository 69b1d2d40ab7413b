"""Clusters: wish machines, or their end, until each cluster is as it should be."""

from amasia.database.engine import Database
from amasia.services import clusters
from amasia.settings import ServerSettings


def reconcile(db: Database, settings: ServerSettings) -> None:
    for cluster_id in clusters.unsettled(db):
        clusters.follow(db, settings, cluster_id)
