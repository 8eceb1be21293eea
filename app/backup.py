"""A copy of the database, for the day on which the first one is gone: to a file here, or through the page."""

import secrets
import time
from pathlib import Path

from sqlalchemy.engine import make_url

from app.settings import Settings
from core.errors import LabError
from storage.backup import copy_sqlite

# Said wherever a copy is made: it is not all that the lab keeps.
WHOLE = "pictures, latents and checkpoints are files beside it: for a copy of everything, copy the data folder too"

DAY = 86_400.0
_TEMPORARY = "lab-backup-"


def name_now() -> str:
    """What to call a copy that is made now, in UTC."""
    return f"lab-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.sqlite"


def why_not(settings: Settings) -> str | None:
    """Why the database cannot be copied here, in words; None where it can."""
    try:
        _source(settings)
    except LabError as error:
        return str(error)
    return None


def back_up(settings: Settings, to: Path) -> Path:
    """Copy the lab's database to the file `to`, or under `name_now` into the folder `to`; returns the file.

    A worker may go on meanwhile. Raises LabError, also for a database on a server, which has better means of its own.
    """
    return copy_sqlite(_source(settings), to / name_now() if to.is_dir() else to)


def temporary(settings: Settings) -> Path:
    """The same to a file of its own in the data folder, which whoever asks removes. Raises LabError.

    Not among the system's temporary files, which often lie in memory.
    """
    source = _source(settings)
    for old in settings.data_dir.glob(f"{_TEMPORARY}*"):
        if old.stat().st_mtime < time.time() - DAY:  # a process that was killed left it
            old.unlink(missing_ok=True)
    return copy_sqlite(source, settings.data_dir / f"{_TEMPORARY}{secrets.token_hex(8)}.sqlite")


def _source(settings: Settings) -> Path:
    if settings.demo:
        raise LabError("this is a demonstration: there is nothing to back up")
    if "://" not in settings.database:
        return Path(settings.database)
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database)
    told = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
    raise LabError(
        f"the database is on a server: back it up there, with `pg_dump --format=custom --file=lab.dump {told}`, which "
        "copies it while it is used"
    )
