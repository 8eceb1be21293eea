"""Opening databases and the rules of their transactions."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import postgres_server
import pytest
import sqlalchemy as sa
import storage_examples as examples

from core.errors import StorageError
from storage import engine
from storage.engine import open_database
from storage.tables import records


def test_a_read_cannot_write(database):
    record_id = examples.new_session(database)
    with pytest.raises(sa.exc.DBAPIError, match="read-?only"), database.read() as tx:
        tx.execute(sa.update(records).values(note="x"))
    with database.write() as tx:  # the same connection again
        tx.execute(sa.update(records).where(records.c.id == record_id).values(note="y"))


def test_a_read_is_one_consistent_look(database):
    def count(tx):
        return tx.scalar(sa.select(sa.func.count()).select_from(records))

    # A thread, because where there is no WAL the writer's commit waits for the reader to end.
    with ThreadPoolExecutor(1) as pool:
        with database.read() as tx:
            assert count(tx) == 0
            writing = pool.submit(examples.new_session, database)
            wait([writing], timeout=0.5)
            assert count(tx) == 0
        writing.result()
    with database.read() as tx:
        assert count(tx) == 1


def test_sqlite_follows_the_rules_for_many_writers(sqlite_template):
    database = open_database(sqlite_template)
    with database.engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "busy_timeout", "journal_mode", "synchronous")
        }
    safe = sqlite3.sqlite_version_info >= (3, 51, 3)
    assert settings == {
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "journal_mode": "wal" if safe else "delete",
        "synchronous": 2,
    }
    database.dispose()


@pytest.mark.parametrize(("version", "mode"), [((3, 51, 2), "delete"), ((3, 51, 3), "wal"), ((3, 52, 0), "wal")])
def test_wal_is_used_only_where_it_is_safe(tmp_path, monkeypatch, version, mode):
    path = tmp_path / "lab.sqlite"
    with sqlite3.connect(path) as other:  # as another version may have left it
        other.execute(f"PRAGMA journal_mode = {'delete' if mode == 'wal' else 'wal'}")
    other.close()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    database = open_database(path, migrate=True)
    examples.new_session(database)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == mode
    database.dispose()


def test_sqlite_takes_the_write_lock_at_the_start(sqlite_template, tmp_path):
    path = tmp_path / "lab.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(path)
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with database.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    with database.read():
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    other.close()
    database.dispose()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sqlite://", "in memory"),
        (":memory:", "in memory"),
        ("mysql+pymysql://localhost/lab", "SQLite or PostgreSQL, got mysql"),
        ("://", "not a URL"),
        ("postgresql://lab@/lab?host=/nowhere", "cannot open the database"),
        ("/nowhere/at/all/lab.sqlite", "there is no database at"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_that_says_so(address, said):
    with pytest.raises(StorageError, match=said):
        open_database(address)


def test_a_password_is_never_shown():
    with pytest.raises(StorageError) as raised:
        open_database("postgresql://lab:hunter2@/lab?host=/nowhere", migrate=True)
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_no_database_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all\n" * 100)
    for migrate in (False, True):
        with pytest.raises(StorageError, match="not a database"):
            open_database(path, migrate=migrate)
    assert path.read_text().startswith("not a database at all")


def test_a_path_may_hold_any_letters(tmp_path):
    path = tmp_path / "a b%20ü?#" / "lab.sqlite"
    database = open_database(path, migrate=True)
    examples.new_session(database)
    database.dispose()
    assert path.is_file()


def test_missing_postgresql_is_a_failure_with_advice(tmp_path, monkeypatch):
    with pytest.raises(LookupError, match="apt-get install postgresql"):
        postgres_server.binaries(str(tmp_path), path=str(tmp_path))
    newest = tmp_path / "16" / "bin"
    for version in ("9.6", "16", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    assert postgres_server.binaries(str(tmp_path)) == newest


def test_no_sql_of_one_database_only_outside_the_engine():
    folder = Path(engine.__file__).parent
    words = ("PRAGMA", "exec_driver_sql", "sa.text(", "dialects", "ON CONFLICT", "sqlite3")
    found = {
        (path.name, word)
        for path in folder.rglob("*.py")
        if path.name != "engine.py"
        for word in words
        if word in path.read_text()
    }
    assert found == {("backup.py", "sqlite3")}  # its copy of a file that others write to; no SQL
