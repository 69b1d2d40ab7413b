"""what claims gave, and a limit of secrets"""

from typing import Any

from alembic import op
import sqlalchemy as sa


revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_identities = sa.table("identities", *(sa.column(name) for name in ("issuer", "user")), sa.column("given", sa.JSON))
_members = sa.table(
    "memberships", *(sa.column(name) for name in ("workspace", "user", "role", "origin")), sa.column("claims", sa.JSON)
)
_places = sa.table("group_members", *(sa.column(name) for name in ("workspace", "group", "user", "origin")))


def upgrade() -> None:
    op.add_column("identities", sa.Column("given", sa.JSON(), server_default="{}", nullable=False))
    _remember()
    op.add_column("limits", sa.Column("secrets", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("limits", "secrets")
    op.drop_column("identities", "given")


def _remember() -> None:
    """What is there by claims now was given by the issuer that it says."""
    tx = op.get_bind()
    given: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in tx.execute(sa.select(_members).where(_members.c.origin != "")):
        whose = given.setdefault((row.origin, row.user), {})
        whose[row.workspace] = {"role": row.role, "groups": [], "claims": row.claims}
    for row in tx.execute(sa.select(_places).where(_places.c.origin != "")):
        here = given.get((row.origin, row.user), {}).get(row.workspace)
        if here is not None:
            here["groups"].append(row.group)
    for (issuer, user), said in given.items():
        same = (_identities.c.issuer == issuer, _identities.c.user == user)
        tx.execute(sa.update(_identities).where(*same).values(given=said))
