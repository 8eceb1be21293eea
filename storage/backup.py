"""A consistent copy of a SQLite database, made while others read and write it, through SQLite's own backup."""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from core.errors import StorageError

BUSY_SECONDS = 30
PATIENCE = 5.0
_PAGES = 2_048  # copied between two looks at whether somebody waits: 8 MB


class _TooBusy(Exception):
    """Others wrote so often that the copy began anew again and again."""


def copy_sqlite(source: Path, target: Path, patience: float = PATIENCE) -> Path:
    """Copy the database `source` to a new file `target`, readable by its owner alone; returns `target`.

    Pages are copied in turns, so that writers get through; each of their commits begins the copy anew. After `patience`
    seconds of that it is made in one go, and they wait. The name `target` is there once the copy is whole. Raises
    StorageError where it is taken, or where `source` is no database.
    """
    if target.exists():
        raise StorageError(f"{target} is there already: expected a name that is free")
    if not target.parent.is_dir():
        raise StorageError(f"there is no folder {target.parent} to put {target.name} into")
    if not source.is_file():
        raise StorageError(f"there is no database at {source}")
    half = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as old, closing(sqlite3.connect(half)) as new:
            try:
                old.backup(new, pages=_PAGES, progress=_impatient(patience), sleep=0.01)
            except _TooBusy:
                old.backup(new)
        os.replace(half, target)
    except sqlite3.Error as error:
        raise StorageError(f"{source} could not be copied: {error}") from error
    finally:
        half.unlink(missing_ok=True)
    return target


def _impatient(patience: float) -> Callable[[int, int, int], None]:
    """Told of every turn, it raises _TooBusy at the first that has begun anew after `patience` seconds."""
    until, least = time.monotonic() + patience, float("inf")

    def told(_status: int, remaining: int, _total: int) -> None:
        nonlocal least
        if remaining > least and time.monotonic() > until:
            raise _TooBusy
        least = min(least, remaining)

    return told
