"""Opening the database: transactions, bringing the schema to this version. SQLite's own is here and in `backup`."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.orm import Session

from core.errors import ReadOnly, StorageError
from storage.backup import BUSY_SECONDS, copy_sqlite
from storage.values import dumps

MIGRATIONS = Path(__file__).parent / "migrations"
# Before 3.51.3 a WAL reset could lose commits when several processes write.
WAL_SINCE = (3, 51, 3)
_MODE = "lab_mode"
_ADVISORY_LOCK = 0x4E6F697365  # "Noise"


@dataclass(frozen=True)
class Database:
    """An open database. `read()` and `write()` each yield a Session in one transaction.

    `sealed` says in a sentence why nothing may be written any more; None where one may.
    """

    engine: Engine
    sealed: str | None = None

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent look; writing in it is an error. Keep it short: on SQLite it holds up writers."""
        with Session(self._modes["read"], autoflush=False) as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may write: committed at the end, rolled back if the block raises.

        On SQLite it holds the write lock from its start, so what it reads cannot change before it writes. Raises
        ReadOnly where the database is sealed.
        """
        if self.sealed is not None:
            raise ReadOnly(self.sealed)
        with Session(self._modes["write"], autoflush=False) as tx, tx.begin():
            tx.connection()  # begins now, not at the first statement
            yield tx

    @cached_property
    def _modes(self) -> dict[str, Engine]:
        return {mode: self.engine.execution_options(**{_MODE: mode}) for mode in ("read", "write")}

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_database(url_or_path: str | Path, *, migrate: bool = False) -> Database:
    """Open a SQLite file by its path, or any database by its URL (`sqlite:///...`, `postgresql://...`).

    With `migrate` an older schema is brought to this version (a SQLite file is copied first) and a new database gets
    its tables; without, anything but this version's schema raises StorageError.
    """
    url = _url(url_or_path)
    if url.get_backend_name() == "sqlite":
        database = Database(_sqlite_engine(url, migrate))
    else:
        database = Database(_server_engine(url))
    try:
        if migrate:
            upgrade(database)
        _require_head(database)
    except BaseException:
        database.dispose()
        raise
    return database


def head_revision(script_location: Path = MIGRATIONS) -> str:
    """The schema revision this code works with."""
    head = ScriptDirectory.from_config(_config(script_location)).get_current_head()
    if head is None:
        raise StorageError(f"no migrations in {script_location}")
    return head


def current_revision(database: Database) -> str | None:
    """The schema revision the database has; None when it has no tables of the lab's."""
    with _plain_connection(database.engine) as connection:
        return _revision(connection)


def upgrade(database: Database, script_location: Path = MIGRATIONS) -> Path | None:
    """Bring the schema to the head, all or nothing; returns the backup's path if one was written (SQLite files only).

    On a server the operator makes backups. Several processes may call this at once: one works, the others wait.
    """
    with _migration_transaction(database.engine) as connection:
        current, head = _revision(connection), head_revision(script_location)
        if current == head:
            return None
        _check_ours(connection, current, script_location)
        backup = _backup(database.engine.url, current) if current else None
        config = _config(script_location)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _check_foreign_keys(connection)
    return backup


def _require_head(database: Database) -> None:
    current, head = current_revision(database), head_revision()
    if current != head:
        found = f"schema {current}" if current else "none of the lab's tables"
        raise StorageError(
            f"the database {database.url} has {found}, this version needs schema {head}: "
            "start `python -m app serve` of this version once, it brings the database up to date"
        )


def _check_ours(connection: Connection, current: str | None, script_location: Path) -> None:
    if current is None:
        foreign = sa.inspect(connection).get_table_names()
        if foreign:
            raise StorageError(f"{connection.engine.url} already holds other tables ({', '.join(sorted(foreign)[:5])})")
        return
    try:
        ScriptDirectory.from_config(_config(script_location)).get_revision(current)
    except CommandError:
        raise StorageError(
            f"the database has schema {current}, which this version does not know: it was made by a newer version"
        ) from None


def _config(script_location: Path) -> Config:
    config = Config()
    # The option passes through ConfigParser, which takes % for itself.
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    try:
        return MigrationContext.configure(connection).get_current_revision()
    except sa.exc.DatabaseError as error:
        raise StorageError(f"{connection.engine.url} cannot be read as a database of the lab: {error.orig}") from error


def _url(url_or_path: str | Path) -> URL:
    text = str(url_or_path)
    if isinstance(url_or_path, Path) or "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except sa.exc.ArgumentError:
        raise StorageError("the database's address is not a URL such as postgresql://user@host/name") from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StorageError(f"the database is expected to be SQLite or PostgreSQL, got {url.drivername}")
    return url


# ---- PostgreSQL


def _server_engine(url: URL) -> Engine:
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=40, json_serializer=dumps)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_MODE) == "read":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine


# ---- SQLite


def _sqlite_engine(url: URL, create: bool) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise StorageError("a database in memory cannot be shared between processes: expected a file")
    path = Path(str(url.database))
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise StorageError(f"there is no database at {path}: start `python -m app serve` once, it makes one")
    engine = sa.create_engine(
        url, connect_args={"timeout": BUSY_SECONDS}, pool_size=5, max_overflow=40, json_serializer=dumps
    )

    @event.listens_for(engine, "connect")
    def _connect(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # transactions begin where we say so, not where the driver guesses
        raw.create_function("lower", 1, _lower, deterministic=True)  # its own knows ASCII only
        raw.execute("PRAGMA foreign_keys = ON")
        mode = "wal" if sqlite3.sqlite_version_info >= WAL_SINCE else "delete"
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != mode:
            raw.execute(f"PRAGMA journal_mode = {mode}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get(_MODE)
        if connection.info.get(_MODE) != mode:  # what the connection was left in: a search only writes
            connection.exec_driver_sql(f"PRAGMA query_only = {int(mode == 'read')}")
            connection.info[_MODE] = mode
        connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "write" else "BEGIN")

    return engine


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


@contextmanager
def _plain_connection(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.execution_options(**{_MODE: "read"}).connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise StorageError(f"cannot open the database {engine.url}: {error.orig}") from error


@contextmanager
def _migration_transaction(engine: Engine) -> Iterator[Connection]:
    """The only writer until the end. SQLite's foreign keys are off: they must be before BEGIN, and a table rebuilt
    with them on would delete the rows that point to it."""
    try:
        with engine.execution_options(**{_MODE: "write"}).connect() as connection:
            if engine.dialect.name != "sqlite":
                with connection.begin():
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
                    yield connection
                return
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA foreign_keys = OFF")
            try:
                with connection.begin():
                    yield connection
            finally:
                raw.execute("PRAGMA foreign_keys = ON")
    except sa.exc.DBAPIError as error:
        raise StorageError(f"the database {engine.url} could not be brought up to date: {error.orig}") from error


def _backup(url: URL, revision: str) -> Path | None:
    """Copy a SQLite file through its own backup, while the migration's lock keeps writers away."""
    if url.get_backend_name() != "sqlite":
        return None
    source = Path(str(url.database))
    target = source.with_name(f"{source.name}.{revision}.{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.backup")
    return copy_sqlite(source, target)


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return  # a server checks as it goes
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        first = f"{broken[0][0]} row {broken[0][1]} to {broken[0][2]}"
        raise StorageError(f"the new schema would break {len(broken)} references ({first}): nothing was changed")
