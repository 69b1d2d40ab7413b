"""Buckets: tried before anything is kept there."""

from functools import partial

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.repositories import Bucket
from amasia.reconcilers.lanes import Lanes
from amasia.services import repositories
from amasia.stores import batteries, credentials

log = structlog.get_logger()

_lanes = Lanes()


def check(db: Database) -> None:
    """Try every bucket that was registered; one whose store does not answer is tried again, later each time."""
    _lanes.run(repositories.untried(db), lambda item: f"{item[0].workspace}/{item[0].name}", partial(_check, db))


def _check(db: Database, item: tuple[Bucket, repositories.Keys]) -> bool:
    """Whether its store answered."""
    bucket, keys = item
    broker = credentials.Keys(keys.access_key, keys.secret_key, keys.role or credentials.ROLE)
    try:
        wrong = batteries.run(bucket, broker)
    except errors.StoreDown as error:
        log.warning("bucket waits for its store", bucket=bucket.name, workspace=bucket.workspace, error=str(error))
        return False
    except errors.AmasiaError as error:
        wrong = [str(error)]
    except Exception:
        log.exception("bucket could not be tried", bucket=bucket.name, workspace=bucket.workspace)
        return False
    repositories.tried(db, bucket, " ".join(wrong))
    return True
