"""The tables of what tenants share: how much of it each may take."""

from sqlalchemy import BigInteger, Column, Integer, Table

from amasia.database.schema import metadata, workspace

# None: as the settings say.
limits = Table(
    "limits",
    metadata,
    workspace(primary_key=True),
    Column("machines", Integer),
    Column("starting", Integer),
    Column("requests", Integer),
    Column("repositories", Integer),
    Column("secrets", Integer),
    Column("log_bytes", BigInteger),
)
