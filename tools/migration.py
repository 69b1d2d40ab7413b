"""Write a migration from what the tables say and the last migration made: ``make migration NAME="…"``."""

import re
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet

from amasia.database.engine import MIGRATIONS, Database


def write(name: str) -> None:
    number = f"{1 + len(list((MIGRATIONS / 'versions').glob('[0-9]*.py'))):04d}"
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{Path(folder) / 'now.db'}", Fernet.generate_key())
        db.migrate()
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with db.write() as connection:
            config.attributes["connection"] = connection
            command.revision(config, message=name, rev_id=number, autogenerate=True)
    path = next((MIGRATIONS / "versions").glob(f"{number}_*.py"))
    text = re.sub(r"amasia\.database\.\w+\.Instant\(", "sa.DateTime(", path.read_text())
    path.write_text(text.replace("server_default=sa.text('0')", "server_default=sa.false()"))  # PostgreSQL's as well


if __name__ == "__main__":
    write(sys.argv[1])
