"""What the command line runs has no job and no lease: a lock says that its process lives, however it ends.

Each holds a file in the data folder while it runs, and the system frees the lock of a process that was killed. Whoever
opens the lab next finds such a file without a holder and says in the session's record how it ended. A session whose
file lies elsewhere (another machine's data folder over the same database) is nobody's to judge.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import NotFound
from storage import jobs, sessions, sweeps
from storage.engine import Database
from storage.under_way import leave_runs
from storage.views import record_row

FOLDER = "searching"
KILLED = "the process that ran this ended without a word: it was killed, or its machine was"


@contextmanager
def running(data_dir: Path, record_id: str) -> Iterator[None]:
    """Say, while the block runs, that this process runs the session; enter it before the record can be seen."""
    folder = data_dir / FOLDER
    folder.mkdir(exist_ok=True)
    path, fresh = folder / f"{record_id}.lock", folder / f"{record_id}.{os.getpid()}"
    with open(fresh, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        fresh.rename(path)  # it appears locked: nobody can take it for one that was left
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def end_killed(database: Database, data_dir: Path) -> list[str]:
    """Mark the searches whose process is gone as failed; returns their records' ids."""
    return [record_id for path in sorted((data_dir / FOLDER).glob("*.lock")) if (record_id := _end(database, path))]


def _end(database: Database, path: Path) -> str | None:
    try:
        handle = open(path)  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return None  # its search has just ended
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None  # its search runs
        with database.write() as tx:
            try:
                left = record_row(tx, path.stem).state == "running" and jobs.latest_job(tx, path.stem) is None
            except NotFound:
                left = False
            if left:
                sessions.set_state(tx, path.stem, "failed", KILLED)
                if record_row(tx, path.stem).kind == sweeps.KIND:
                    leave_runs(tx, path.stem, "failed", KILLED)
        path.unlink(missing_ok=True)
    return path.stem if left else None
