"""Line 3: what schemathesis makes of ``openapi.json``, right and wrong, sent as an owner: no answer is a server error.

The real application on a real database.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import schemathesis
import structlog
from anyio.from_thread import start_blocking_portal
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.errors import InvalidSchema

from amasia.api import app
from amasia.database.engine import Database
from amasia.services.rates import Rates
from amasia.settings import ServerSettings
from show import databases, rights
from show.lines import Line

EXAMPLES = 40
"""Of each operation, right ones and as many wrong ones, on each kind of database."""
MEANT = (501, 503)
"""Said in words of ours: what is asked for cannot be had now, or is not there."""
HALF = 2
"""One of so many requests has names of things that are there in its path, so that it gets further than them."""


def lines(dose: float, number: int, base: Path, kind: str) -> Iterator[Line]:
    examples = max(2, round(EXAMPLES * dose))
    with databases.fresh(base, kind) as db:
        found, operations, wrong = throw(db, ServerSettings(home=base, lease_seconds=600), examples, number)
    asked = sum(found.values())
    told = ", ".join(f"{count} times {status}" for status, count in sorted(found.items()))
    what = f"schemathesis on {operations} operations, {kind}"
    yield Line(3, f"{what}: server errors in {asked} requests", str(len(wrong)), "0", not wrong,
               "; ".join(wrong[:4])[:900] or told)  # fmt: skip
    deep = sum(count for status, count in found.items() if status < 300)
    enough = round(operations * min(1, 10 * dose))  # two tries of each, which a small dose has, seldom do anything
    yield Line(3, f"{what}: requests that did something", str(deep), f">= {enough}", deep >= enough, told)


def throw(
    db: Database, found: ServerSettings, examples: int, number: int, only: str = ""
) -> tuple[Counter[int], int, list[str]]:
    """(answers by their status, operations, what was answered with a server error)."""
    api = app.create(db, found, lend=rights.lend)
    api.state.rates = Rates(lambda _: 0, lambda *_: False)  # whatever limits come out of it: what is too much is asked
    tokens = rights.build(db, found, operator=True)
    schema = schemathesis.openapi.from_dict(api.openapi())
    operations = [one.ok() for one in schema.get_all_operations()]
    operations = [one for one in operations if only in one.label]
    # A traceback with its pictures takes longer than all else; the answer's own words are enough.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    told: Counter[int] = Counter()
    wrong: dict[str, str] = {}
    chance = random.Random(number)
    with start_blocking_portal() as portal:
        client = rights.client(api, tokens["owner"], portal)
        for operation in sorted(operations, key=lambda one: one.method.upper() == "DELETE"):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                rights.with_repository(db, rights.OWN)
                _try(client, operation, mode, examples, chance, told, wrong)
    return told, len(operations), list(wrong.values())


def _try(
    client: TestClient, operation: Any, mode: GenerationMode, examples: int, chance: random.Random,
    told: Counter[int], wrong: dict[str, str],
) -> None:  # fmt: skip
    @seed(chance.randrange(2**32))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case: Any) -> None:
        answer = client.request(**_request(case, known=chance.randrange(HALF) == 0))
        told[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code not in MEANT:
            wrong.setdefault(operation.label, f"{operation.label}: {answer.status_code} {answer.text[:120]} for "
                             f"{case.path_parameters} {case.query} {str(case.body)[:200]}")  # fmt: skip

    try:
        once()
    except (InvalidSchema, Unsatisfiable) as error:
        # Nothing can be wrong about an operation that takes nothing.
        if mode is GenerationMode.POSITIVE:
            raise RuntimeError(f"{operation.label}: {error}") from error


def _request(case: Any, *, known: bool) -> dict[str, Any]:
    """A case as the client sends it; ``known``: with names in the path of things that are there."""
    names = {**rights.NAMES, "workspace": rights.OWN, "collection": f"{rights.OWN}:own",
             "account": f"{rights.OWN}-account"}  # fmt: skip
    for name in case.path_parameters:
        if known or name == "workspace":
            case.path_parameters[name] = names[name]
    if isinstance(case.query, dict) and "wait" in case.query:
        case.query["wait"] = "0"
    sent = case.as_transport_kwargs()
    return {key: value for key, value in sent.items() if value is not None}
