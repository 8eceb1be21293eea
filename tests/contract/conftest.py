"""Every test that takes `address` or `database` runs on SQLite and on PostgreSQL."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import postgres_server
import pytest
import sqlalchemy as sa

from storage.artifacts import Artifacts
from storage.engine import Database, open_database

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The folder of a running server's socket."""
    try:
        with postgres_server.running() as folder:
            template = open_database(_postgres_url(folder, _make(folder, "lab_template")), migrate=True)
            template.dispose()
            yield folder
    except LookupError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to be copied."""
    path = tmp_path_factory.mktemp("template") / "lab.sqlite"
    open_database(path, migrate=True).dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database with the present schema."""
    if request.param == "sqlite":
        return str(shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "lab.sqlite"))
    folder = request.getfixturevalue("postgres")
    return _postgres_url(folder, _make(folder, f"lab_{next(_numbers)}", template="lab_template"))


@pytest.fixture
def empty_postgres(postgres: str) -> str:
    """The address of a PostgreSQL database without any table."""
    return _postgres_url(postgres, _make(postgres, f"empty_{next(_numbers)}"))


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    """An open database with the present schema."""
    opened = open_database(address)
    yield opened
    opened.dispose()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """An empty folder of files."""
    return Artifacts(tmp_path / "artifacts")


def _postgres_url(folder: str, name: str) -> str:
    return f"postgresql://lab@/{name}?host={folder}"


def _make(folder: str, name: str, template: str = "template0") -> str:
    url = _postgres_url(folder, "postgres").replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name
