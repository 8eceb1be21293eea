"""Every test that takes `address` or `database` runs on SQLite and on PostgreSQL."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
            _administer(folder, "CREATE DATABASE lab_template TEMPLATE template0")
            open_database(_postgres_url(folder, "lab_template"), migrate=True).dispose()
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
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database with the present schema."""
    if request.param == "sqlite":
        yield str(shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "lab.sqlite"))
        return
    with _database_on(request.getfixturevalue("postgres"), "lab_template") as url:
        yield url


@pytest.fixture
def empty_postgres(postgres: str) -> Iterator[str]:
    """The address of a PostgreSQL database without any table."""
    with _database_on(postgres, "template0") as url:
        yield url


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


def _administer(folder: str, statement: str) -> None:
    url = _postgres_url(folder, "postgres").replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


@contextmanager
def _database_on(folder: str, template: str) -> Iterator[str]:
    name = f"lab_{next(_numbers)}"
    _administer(folder, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _postgres_url(folder, name)
    finally:
        _administer(folder, f"DROP DATABASE {name} WITH (FORCE)")  # each is 8 MB
