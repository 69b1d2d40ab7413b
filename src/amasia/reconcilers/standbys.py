"""What is kept warm: wish machines, or their end, until there are as many as are to be."""

from amasia.database.engine import Database
from amasia.services import standbys
from amasia.settings import ServerSettings


def reconcile(db: Database, settings: ServerSettings) -> None:
    standbys.follow(db, settings)
