"""Makes a key that was wished for, seals everything with it, and forgets the older ones. It may be killed at any line.

The master key is renewed first, and nothing in the database needs the old one when the new key is there: all keys are
wrapped anew in the transaction that makes it. Then rows are sealed anew, some in each transaction, until none is left.
"""

from cryptography.fernet import Fernet

from amasia import errors
from amasia.database.engine import Database
from amasia.services import keys

BATCH = 200


def reconcile(db: Database) -> None:
    number = keys.wished(db)
    if number is None and not keys.older(db):
        return
    try:
        if number is not None:
            _make(db, number)
        db.keys.keep_masters(keys.wrapped(db).values())
        while keys.reseal(db, BATCH):
            pass
        keys.finish(db)
    except errors.Unavailable as error:
        keys.failed(db, str(error))


def _make(db: Database, number: int) -> None:
    masters = db.keys.masters
    had = {other: masters.unwrap(text) for other, text in keys.wrapped(db).items()}
    db.keys.renew_master()
    others = {other: masters.wrap(key) for other, key in had.items()}
    keys.made(db, number, masters.wrap(Fernet.generate_key()), masters.wrap(Fernet.generate_key()), others)
