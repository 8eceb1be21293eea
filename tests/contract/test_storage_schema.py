"""The schema's history: databases of every age are brought up to date, backed up first, and used."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
import storage_examples as examples
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core.errors import StorageError
from storage import engine, jobs, records, sessions
from storage.engine import open_database
from storage.tables import metadata

FROZEN = Path(__file__).parent / "frozen"

# A change of the dangerous sort: SQLite can only rebuild the table that all the others point to.
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{head}"


def upgrade():
    with op.batch_alter_table("records") as batch:
        batch.add_column(sa.Column("colour", sa.String(10), nullable=False, server_default="red"))
        batch.alter_column("note", existing_type=sa.Text(), nullable=True)
"""
FAILING = NEXT + "    op.execute('INSERT INTO nowhere VALUES (1)')\n"
BREAKING = NEXT + "    op.execute(\"UPDATE records SET id = 'other'\")\n"


@pytest.fixture
def later_version(tmp_path):
    """Makes the migrations folder of a later version of the lab, with one more revision."""

    def make(revision: str = NEXT) -> Path:
        folder = tmp_path / "later%version"  # per cent signs are special to its configuration
        shutil.copytree(engine.MIGRATIONS, folder)
        (folder / "versions" / "9999_next.py").write_text(revision.replace("{head}", engine.head_revision()))
        return folder

    return make


def fill(database, artifacts):
    record_id = examples.new_session(database, name="kept")
    with database.write() as tx:
        job_id = jobs.enqueue(tx, kind="explore", record_id=record_id)
        jobs.send_command(tx, job_id, "elites", {"elites": [1]})
    examples.record_all(database, artifacts, record_id)
    return record_id


def use(database, artifacts, record_id):
    """Everything a lab does with an old session, and a new one beside it."""
    with database.read() as tx:
        shown = sessions.view(tx, record_id)
        assert sessions.stored_state(tx, record_id).finished
        assert [row["id"] for row in records.list_records(tx, limit=9, text="red circle")] == [record_id]
    assert len(shown["iterations"]) == 2 and len(shown["steps"]) == 2 and len(shown["arms"]) == 3
    assert shown["iterations"][1]["rewards"]["verifier"][1:] == [None, None]
    examples.record_all(database, artifacts, record_id)
    with database.write() as tx:
        claim = jobs.claim(tx, lane="interactive", owner="w1")
        assert [one.kind for one in jobs.pending_commands(tx, claim.job_id)] == ["elites"]
        jobs.finish(tx, claim, "succeeded")
        tx.execute(sa.delete(metadata.tables["records"]))
    assert not any(examples.table_sizes(database).values())
    examples.record_all(database, artifacts, examples.new_session(database))


def frozen_databases():
    return sorted(FROZEN.glob("*.sql"))


def test_every_revision_has_a_frozen_database():
    assert [path.stem for path in frozen_databases()] == ["0001", "0002", "0003", "0004", "0005", "0006", "0007"]
    assert engine.head_revision() == "0007"


@pytest.mark.parametrize("dump", frozen_databases(), ids=lambda path: path.stem)
def test_a_database_of_every_age_is_upgraded_and_used(dump, tmp_path, artifacts):
    path = tmp_path / "lab.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text())
        (record_id,) = old.execute("SELECT id FROM records WHERE kind = 'session'").fetchone()
    database = open_database(path, migrate=True)
    assert engine.current_revision(database) == engine.head_revision()
    use(database, artifacts, record_id)
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def first_version(request, tmp_path):
    """The frozen database of the first version, on either server: a database's address and the session's id."""
    path = tmp_path / "lab.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FROZEN / "0001.sql").read_text())
        (record_id,) = old.execute("SELECT id FROM records WHERE kind = 'session'").fetchone()
    if request.param == "sqlite":
        return str(path), record_id
    address = request.getfixturevalue("empty_postgres")
    folder = tmp_path / "first"
    shutil.copytree(engine.MIGRATIONS, folder, ignore=shutil.ignore_patterns("000[2-9]*"))
    server = sa.create_engine(address.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    engine.upgrade(engine.Database(server), folder)
    there = sa.MetaData()
    there.reflect(server)
    with sa.create_engine(f"sqlite:///{path}").connect() as old, server.begin() as new:
        here = sa.MetaData()
        here.reflect(old)
        for table in there.sorted_tables:
            rows = [dict(row._mapping) for row in old.execute(sa.select(here.tables[table.name]))]
            if rows and table.name != "alembic_version":
                new.execute(sa.insert(table), rows)
    return address, record_id


def test_the_second_schema_says_of_an_old_session_what_it_would_say_of_a_new_one(first_version, artifacts):
    address, record_id = first_version
    database = open_database(address, migrate=True)
    same = examples.new_session(database)
    examples.record_all(database, artifacts, same)

    def told(view):
        own = ("id", "name", "created", "seq", "job", "state")
        plain = {name: value for name, value in view.items() if name not in own}
        for row in plain["steps"] + plain["iterations"] + plain["arms"]:
            for name in ("image", "images"):
                row.pop(name, None)
        return plain

    with database.read() as tx:
        old, new = sessions.view(tx, record_id), sessions.view(tx, same)
        listed = {row["id"]: row for row in records.list_records(tx, limit=9)}
        jobs_of_old = tx.execute(sa.select(metadata.tables["jobs"])).all()
        changed = sessions.view(tx, record_id, after=old["seq"])
    assert told(old) == told(new) and old["iterations"][1]["finite"] == 1
    assert listed[record_id]["reward"] == listed[same]["reward"] == 1.0
    assert [job.rank for job in jobs_of_old] == [float(job.id) for job in jobs_of_old]
    assert old["seq"] >= max(job.last_event for job in jobs_of_old)
    assert changed["partial"] and changed["iterations"] == changed["steps"] == changed["arms"] == []
    database.dispose()


def test_the_recorded_session_of_an_old_lab_is_known_again(first_version):
    address, record_id = first_version
    url = address if "://" in address else f"sqlite:///{address}"
    with sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).begin() as old:
        for table in ("job_commands", "job_events", "jobs"):
            old.execute(sa.text(f"DELETE FROM {table}"))
        old.execute(sa.text("UPDATE records SET name = 'Recorded with the lab'"))
    database = open_database(address, migrate=True)
    with database.read() as tx:
        assert records.mark(tx, "recorded") == record_id
    database.dispose()


def test_the_first_migration_makes_the_tables_that_the_code_describes(database):
    with database.read() as tx:
        context = MigrationContext.configure(tx.connection(), opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_populated_database_survives_an_upgrade_that_rebuilds_its_centre(database, artifacts, later_version):
    record_id = fill(database, artifacts)
    sizes = examples.table_sizes(database)
    backup = engine.upgrade(database, later_version())
    assert engine.current_revision(database) == "next"
    assert examples.table_sizes(database) == sizes
    with database.read() as tx:
        assert tx.execute(sa.text("SELECT colour FROM records")).scalars().all() == ["red"]
    use(database, artifacts, record_id)
    if database.engine.dialect.name == "postgresql":
        assert backup is None
        return
    assert backup.name.startswith("lab.sqlite.0007.") and backup.name.endswith(".backup")
    restored = open_database(backup)
    assert engine.current_revision(restored) == "0007" and examples.table_sizes(restored) == sizes
    use(restored, artifacts, record_id)
    restored.dispose()


def test_an_upgrade_that_fails_changes_nothing(database, artifacts, later_version):
    record_id = fill(database, artifacts)
    with pytest.raises(StorageError, match="could not be brought up to date: .*nowhere"):
        engine.upgrade(database, later_version(FAILING))
    assert engine.current_revision(database) == "0007"
    with database.read() as tx:
        assert "colour" not in [column["name"] for column in sa.inspect(tx.connection()).get_columns("records")]
    use(database, artifacts, record_id)


def test_an_upgrade_that_breaks_a_reference_changes_nothing(database, artifacts, later_version):
    record_id = fill(database, artifacts)
    with pytest.raises(StorageError, match="would break .* references|violates foreign key"):
        engine.upgrade(database, later_version(BREAKING))
    assert engine.current_revision(database) == "0007"
    use(database, artifacts, record_id)


def test_foreign_keys_hold_again_after_an_upgrade(database, later_version):
    engine.upgrade(database, later_version())
    with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
        tx.execute(sa.insert(metadata.tables["sessions"]).values(record_id="nobody"))


def test_opening_makes_no_backup_when_there_is_nothing_to_do(tmp_path):
    for _ in range(2):
        open_database(tmp_path / "lab.sqlite", migrate=True).dispose()
    assert [path.name for path in tmp_path.iterdir()] == ["lab.sqlite"]


def test_a_database_of_a_newer_version_is_refused(database, address, later_version):
    engine.upgrade(database, later_version())
    with pytest.raises(StorageError, match="made by a newer version"):
        open_database(address, migrate=True)
    with pytest.raises(StorageError, match="has schema next, this version needs schema 0007"):
        open_database(address)


def test_a_worker_refuses_a_database_that_is_not_at_head(tmp_path, empty_postgres):
    sqlite3.connect(tmp_path / "empty.sqlite").execute("PRAGMA user_version = 1").connection.close()
    for address in (tmp_path / "empty.sqlite", empty_postgres):
        with pytest.raises(StorageError, match="has none of the lab's tables, this version needs schema"):
            open_database(address)


def test_somebody_elses_database_is_left_alone(tmp_path, empty_postgres):
    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as theirs:
        theirs.execute("CREATE TABLE invoices (id INTEGER)")
    other = sa.create_engine(empty_postgres.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    with other.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE invoices (id INTEGER)")
    for address in (tmp_path / "theirs.sqlite", empty_postgres):
        with pytest.raises(StorageError, match="already holds other tables .invoices"):
            open_database(address, migrate=True)
    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_the_seventh_schema_finds_what_a_page_asked_for_by_the_digest_of_the_command_line(tmp_path):
    path = tmp_path / "lab.sqlite"
    stored = "SELECT kind, config, config_hash FROM records ORDER BY kind"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FROZEN / "0006.sql").read_text())
        before = old.execute(stored).fetchall()
        for kind, text, _ in before:
            values = (re.sub(r"\b(\d+)\.0\b", r"\1", text), kind)
            old.execute("UPDATE records SET config = ?, config_hash = 'of whole numbers' WHERE kind = ?", values)
        assert old.execute(stored).fetchall() != before
        old.commit()
    open_database(path, migrate=True).dispose()
    with closing(sqlite3.connect(path)) as new:
        after = new.execute(stored).fetchall()
    same = [(kind, json.dumps(json.loads(text)), digest) for kind, text, digest in before]
    assert [(kind, json.dumps(json.loads(text)), digest) for kind, text, digest in after] == same
    assert {kind for kind, _, _ in after} >= {"session", "reliability", "train"}


def test_the_fifth_schema_knows_the_rewards_of_records_of_every_kind(tmp_path, artifacts):
    path = tmp_path / "lab.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FROZEN / "0004.sql").read_text())
    database = open_database(path, migrate=True)
    made = {
        "session": examples.new_session(database),
        "reliability": examples.new_measurement(database),
        "train": examples.new_run(database),
    }
    table = metadata.tables["records"]
    with database.read() as tx:
        rows = tx.execute(sa.select(table.c.id, table.c.kind, table.c.rewards)).all()
    new = {row.kind: row.rewards for row in rows if row.id in made.values()}
    assert new == {
        "session": '["clip","size","verifier"]',
        "reliability": '["clip","size","verifier"]',
        "train": '["clip","verifier"]',
    }
    assert {row.kind: row.rewards for row in rows if row.id not in made.values()} == new
    database.dispose()
