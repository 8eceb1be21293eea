"""Clears away what was deleted for good: rows in short transactions, then the files that nobody refers to any more.

It runs in a thread of its own, because a large session is hundreds of thousands of rows and files. A sweep that is cut
short leaves nothing half open: a deleted record is found by nobody, and the next sweep goes on.
"""

import logging
import threading

from storage import records
from storage.artifacts import Artifacts
from storage.checkpoints import Checkpoints
from storage.engine import Database

log = logging.getLogger(__name__)

# A file is kept before the row that refers to it is written; one this old is no longer on its way to a row.
YOUNG_SECONDS = 3600.0


def sweep(
    database: Database,
    artifacts: Artifacts,
    older_than: float = YOUNG_SECONDS,
    checkpoints: Checkpoints | None = None,
) -> list[str]:
    """Remove the rows of deleted records, then unreferenced files older than `older_than` seconds; returns their names.

    What is referred to is read in many short looks, so a row written meanwhile may be missed. Its files are safe all
    the same: whoever writes a row keeps its files just before, which makes even a file that was there young again.
    """
    with database.read() as tx:
        gone = records.erased(tx)
    for record_id in gone:
        left = True
        while left:
            with database.write() as tx:
                left = records.remove_rows(tx, record_id)
    if checkpoints is not None:
        there = checkpoints.records()  # before the records: a run that begins now is none of these
        with database.read() as tx:
            there.difference_update(records.record_ids(tx))
        for record_id in there:
            checkpoints.remove_all(record_id)
    return artifacts.purge(referenced(database), older_than)


def referenced(database: Database) -> set[str]:
    """The names of all stored files that some row needs."""
    with database.read() as tx:
        ids = records.record_ids(tx)
    names: set[str] = set()
    for record_id in ids:
        with database.read() as tx:
            names.update(records.artifacts_of(tx, record_id))
            searched = records.searched_steps(tx, record_id)
        for step in searched:
            with database.read() as tx:
                names.update(records.candidate_images(tx, record_id, step))
    return names


class Sweeper:
    """Sweeps in a thread when asked, and once more when what was too young then is old enough."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        older_than: float = YOUNG_SECONDS,
        checkpoints: Checkpoints | None = None,
    ):
        """Starts nothing yet."""
        self.database = database
        self.artifacts = artifacts
        self.checkpoints = checkpoints
        self.older_than = older_than
        self._asked = threading.Condition()
        self._due = self._busy = self._ended = False
        self._thread: threading.Thread | None = None

    def request(self) -> None:
        """Sweep soon."""
        with self._asked:
            self._due = True
            self._asked.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
                self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is asked for or under way; False if that took longer than `timeout` seconds."""
        with self._asked:
            return self._asked.wait_for(lambda: not self._due and not self._busy, timeout)

    def close(self) -> None:
        """End the thread; a sweep under way is waited for."""
        with self._asked:
            self._ended = True
            self._asked.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause: float | None = None
        while True:
            with self._asked:
                asked = self._asked.wait_for(lambda: self._due or self._ended, pause)
                if self._ended:
                    return
                self._due, self._busy = False, True
            try:
                sweep(self.database, self.artifacts, self.older_than, self.checkpoints)
            except Exception:
                log.exception("could not clear away what was deleted; the next deletion tries again")
            with self._asked:
                self._busy = False
                self._asked.notify_all()
            pause = self.older_than + 60 if asked else None
