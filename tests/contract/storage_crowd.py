"""What several processes do to one database at once. Each function runs in a fresh process."""

import time

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from storage import jobs
from storage.engine import current_revision, open_database
from storage.tables import records


def count_up(address: str, record_id: str, seconds: float) -> tuple[int, int]:
    """Read a number, then write one more, for so long; returns how often it went well and how often it did not."""
    database = open_database(address)
    done = failed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with database.write() as tx:
                query = sa.select(records.c.note).where(records.c.id == record_id).with_for_update()
                note = tx.scalar(query)
                tx.execute(sa.update(records).where(records.c.id == record_id).values(note=str(int(note or 0) + 1)))
            done += 1
        except OperationalError:
            failed += 1
    database.dispose()
    return done, failed


def take_all(address: str, owner: str) -> list[int]:
    """Claim until nothing is left and finish what was claimed; returns the jobs in the order they were had."""
    database = open_database(address)
    mine = []
    while True:
        with database.write() as tx:
            claim = jobs.claim(tx, lane="interactive", owner=owner)
        if claim is None:
            database.dispose()
            return mine
        mine.append(claim.job_id)
        with database.write() as tx:
            jobs.finish(tx, claim, "succeeded")


def migrate(address: str) -> str | None:
    """Open with migration; returns the revision then."""
    database = open_database(address, migrate=True)
    revision = current_revision(database)
    database.dispose()
    return revision
