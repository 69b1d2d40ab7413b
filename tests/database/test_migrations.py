"""What was there before a migration is there after it."""

import secrets

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from amasia.database import budgets, costs, identities
from amasia.database import events as event_rows
from amasia.database.engine import MIGRATIONS, Database
from amasia.models.base import now
from amasia.models.costs import Cut, Span
from amasia.models.events import check
from amasia.models.identities import Given
from amasia.models.permissions import Role
from amasia.services import events
from tests.conftest import KEY, _create

BEFORE = (
    "INSERT INTO workspaces (name, currency, created_at) VALUES ('lab', 'CHF', '2026-01-01 00:00:00+00')",
    "INSERT INTO users (id, name, issuer, subject, operator, created_at) VALUES"
    " ('us-1', 'ada', 'local', 'ada', true, '2026-01-01 00:00:00+00')",
    "INSERT INTO budgets (workspace, \"limit\", spent, reserved) VALUES ('lab', 1000, 300, 20)",
    "INSERT INTO clusters (id, workspace, name, owner, location, status, target, spec, environment_hash,"
    " wanted_workers, scheduler_address, dashboard_address, reason, created_at, tls_ca, tls_certificate, tls_key)"
    " VALUES ('cl-1', 'lab', 'c', 'ada', 'local', 'running', 'running', '{}', '', 0, '', '', '',"
    " '2026-01-01 00:00:00+00', '', '', '')",
    'INSERT INTO machines (id, workspace, location, cluster_id, owner, role, "index", status, target, machine_type,'
    " cpus, memory, price, handle, address, reason, stages, metrics, reserved, charged_ms, charged_amount, join_hash,"
    " tries) VALUES ('ma-1', 'lab', 'local', 'cl-1', 'ada', 'scheduler', 0, 'running', 'running', 'small', 1, 1, 1,"
    " '{}', '', '', '{}', '{}', 20, 1000, 300, '', 0)",
    'INSERT INTO charges (workspace, "user", cluster_id, machine_id, machine_type, start, "end", milliseconds, amount)'
    " VALUES ('lab', 'ada', 'cl-1', 'ma-1', 'small', '2026-01-02 23:59:00+00', '2026-01-03 00:01:00+00', 1000, 300)",
    'INSERT INTO storage_charges (workspace, repository_id, repository, start, "end", nbytes, amount)'
    " VALUES ('lab', 'r-1', 'data', '2026-01-05 00:00:00+00', '2026-01-05 23:01:00+00', 9, 7)",
)

KINDS = (Cut.user, Cut.location, Cut.machine_type, Cut.tag)


def at_version(dialect, tmp_path, request, version, statements):
    """A database of an older version with rows in it, and what Alembic needs to go on."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if dialect == "postgresql":
        url = _create(request.getfixturevalue("postgres"), f"m{secrets.token_hex(6)}", "template0")
    db = Database(url, KEY)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with db.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, version)
        for statement in statements:
            tx.execute(text(statement if dialect == "postgresql" else statement.replace("+00'", ".000000'")))
    return db, config


EVENT = (
    "INSERT INTO events (at, workspace, actor, verb, target, outcome, source, detail) VALUES"
    " ('2026-01-01 00:00:0{0}+00', {1}, 'ada', 'thing.do', 't{0}', 'done', '', '{{\"a\": [1, null]}}')"
)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_events_of_before_are_chained_by_the_migration_and_kept_by_the_way_back(dialect, tmp_path, request):
    old = [EVENT.format(number, where) for number, where in enumerate(("'lab'", "NULL", "'lab'", "'lab'", "NULL"))]
    db, config = at_version(dialect, tmp_path, request, "0012", old)
    db.migrate()
    for workspace, count in (("lab", 3), (None, 2)):
        head = events.head(db, workspace)
        verdict = check(head, events.follow(db, workspace, 0))
        assert (verdict.problem, verdict.checked, head.seq) == ("", count, count)
    with db.write() as tx:
        event_rows.append(tx, actor="ada", verb="thing.do", target="new", workspace="lab")
    assert check(events.head(db, "lab"), events.follow(db, "lab", 0)).problem == ""
    with db.write() as tx:
        config.attributes["connection"] = tx
        command.downgrade(config, "0012")
        assert tx.execute(text("SELECT count(*) FROM events")).scalar() == 6
    db.migrate()
    assert events.head(db, "lab").seq == 4
    db.close()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_budget_with_all_that_it_holds_outlives_the_migration_to_budgets_of_anything(dialect, tmp_path, request):
    db, config = at_version(dialect, tmp_path, request, "0011", BEFORE)
    db.migrate()
    with db.read() as tx:
        found = budgets.counted(tx, "lab", now())[0]
        assert (found.limit, found.spent, found.reserved, found.currency) == (1000, 300, 20, "CHF")
        assert [*budgets.held(tx, ["ma-1"])["ma-1"].values()] == [20]
        charge = budgets.page(tx, "lab", None, 0, 10)[0]
        assert (charge.day, charge.location, charge.tags, charge.amount) == ("2026-01-03", "local", {}, 300)
        assert costs.total(tx, "lab", Span(), None) == costs.total(tx, "lab", Span(), "ada") == (1000, 300)
        assert [line.key for cut in KINDS for line in costs.lines(tx, "lab", cut, Span(), "ada")] == [
            "ada", "local", "small", "(no tag)"]  # fmt: skip
        assert costs.of_clusters(tx, "lab", Span(), "ada", ["cl-1"]) == [("cl-1", "", 1000, 300)]
        assert costs.besides_by_day(tx, "lab", Span()) == {"2026-01-05": 7}
    with db.write() as tx:
        config.attributes["connection"] = tx
        command.downgrade(config, "0011")
        assert tuple(tx.execute(text('SELECT "limit", spent, reserved FROM budgets')).one()) == (1000, 300, 20)
    db.close()


CLAIMED = (
    BEFORE[0],
    BEFORE[1],
    'INSERT INTO identities (issuer, subject, "user", provider, email, created_at, last_used_at) VALUES'
    " ('https://id', 's-1', 'ada', 'Id', '', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00'),"
    " ('https://other', 's-1', 'ada', 'Other', '', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00')",
    "INSERT INTO groups (workspace, name, created_at) VALUES ('lab', 'ice', '2026-01-01 00:00:00+00')",
    'INSERT INTO memberships (workspace, "user", role, origin, claims) VALUES'
    " ('lab', 'ada', 'viewer', 'https://id', '[\"groups=ice\"]')",
    "INSERT INTO group_members (workspace, \"group\", \"user\", origin) VALUES ('lab', 'ice', 'ada', 'https://id')",
)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_what_claims_gave_before_is_known_to_be_of_their_issuer(dialect, tmp_path, request):
    db, _ = at_version(dialect, tmp_path, request, "0018", CLAIMED)
    db.migrate()
    with db.read() as tx:
        found = {one.issuer: one.given for one in identities.of_user(tx, "ada")}
    ice = Given(role=Role.viewer, groups=("ice",), claims=("groups=ice",))
    assert found == {"https://id": {"lab": ice}, "https://other": {}}
    db.close()
