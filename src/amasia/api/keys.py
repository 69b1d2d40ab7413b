"""The keys that everything sealed is sealed with; for operators."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, operator
from amasia.models.keys import Keys
from amasia.models.users import Principal
from amasia.services import keys

router = APIRouter(prefix="/keys", tags=["keys"])


@router.get("", dependencies=[operator("key.show")])
def get(db: Db) -> Keys:
    return keys.get(db)


@router.post("", status_code=202)
def rotate(db: Db, who: Annotated[Principal, operator("key.rotate")]) -> Keys:
    """Wish for a new key; follow it by asking for it."""
    return keys.rotate(db, who)
