"""What a store's errors are told as."""

from dataclasses import dataclass

import icechunk
import pytest

from amasia import errors
from amasia.models.base import new_id
from amasia.models.repositories import BucketKind, Lease, Mode
from amasia.stores import leases
from amasia.stores.failures import translated

TIME_IS_UP = "object store error request has timed out: operation timeout occurred after 16s"
ANSWERS: dict[str, errors.AmasiaError | None] = {}
"""What those who lent say when they are asked again."""


@dataclass(frozen=True)
class Lender:
    name: str
    kind: BucketKind

    def __call__(self) -> Lease:
        again = ANSWERS.setdefault(self.name, None)
        if again:
            raise again
        return Lease(repository="sst", workspace="demo", mode=Mode.write, kind=self.kind, bucket="b", prefix="re")


@pytest.mark.parametrize(
    ("kind", "says", "told"),
    [
        (BucketKind.embedded, errors.StoreFull("No room."), errors.StoreFull),
        (BucketKind.embedded, errors.StoreDown("No answer."), errors.StoreDown),
        (BucketKind.embedded, None, errors.StoreDown),
        (BucketKind.s3, errors.StoreFull("No room."), errors.StoreDown),
    ],
)
def test_where_time_was_up_before_the_embedded_store_said_why_its_lender_knows_whether_it_is_full(
    kind: BucketKind, says: errors.AmasiaError | None, told: type[errors.AmasiaError]
) -> None:
    source = Lender(new_id("lender"), kind)
    leases.current(source)
    ANSWERS[source.name] = says
    with pytest.raises(told, match="demo/sst") as caught, translated(source):
        raise icechunk.StorageError(TIME_IS_UP, "object-store")
    assert type(caught.value) is told
