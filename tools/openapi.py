"""Print the OpenAPI of this version: ``make openapi``."""

import json

from fastapi import FastAPI

from amasia.api import app
from amasia.database.engine import Database
from amasia.models.repositories import Lease
from amasia.settings import ServerSettings


def make() -> FastAPI:
    """The application on a database that is never opened."""

    def lend(*_: object) -> Lease:
        raise NotImplementedError

    db = Database("sqlite:///never-opened.db", b"0" * 43 + b"=")
    return app.create(db, ServerSettings(), lend=lend)


def text() -> str:
    """The same text for the same routes and models, whatever the machine."""
    return json.dumps(make().openapi(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(text(), end="")
