"""Taking a bundle in: all of it or nothing. Files lie in place before the one transaction that tells of them ends."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from PIL import Image
from safetensors import SafetensorError, safe_open
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.handing.form import TABLES, BundleError, Inside, Limits
from app.handing.rows import Rows, check_agreement, checked_record, checked_row
from app.handing.unpack import Progress, Unpacked, read_json, read_lines, unpack
from storage import runs, sessions
from storage.artifacts import Artifacts, flush
from storage.checkpoints import Checkpoints
from storage.engine import Database
from storage.run_tables import checkpoints as checkpoint_rows
from storage.tables import records
from storage.views import step_view

LIMITS = Limits()
PIXELS = 8192  # of a picture's longer side
OLD = 24 * 3600.0  # seconds after which what a killed import left is cleared away
_FORMATS = {".webp": "WEBP", ".png": "PNG"}
_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True)
class Taken:
    """What an import came to: ids with kind, name and prompt. `known` were here before, and were left as they are."""

    taken: tuple[dict[str, Any], ...]
    known: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """One record of a bundle, checked."""

    record: dict[str, Any]
    rows: Rows


def read_bundle(
    database: Database,
    artifacts: Artifacts,
    checkpoints: Checkpoints,
    path: Path,
    *,
    limits: Limits = LIMITS,
    progress: Progress = lambda done, total: None,
    called: str | None = None,
) -> Taken:
    """Take every record of a bundle that is not here yet. Raises BundleError, and has then taken nothing.

    `progress` hears how many bytes are unpacked, of how many; `called` is the file's name in messages.
    """
    incoming = artifacts.folder.parent / "incoming"
    incoming.mkdir(exist_ok=True)
    _clear_old(incoming)
    folder = Path(tempfile.mkdtemp(dir=incoming))
    try:
        found = unpack(path, folder, limits, progress)
        _check_files(found)
        read = [_read(found, record_id, limits) for record_id in found.records]
        for one in found.artifacts.values():
            flush(one)  # the last thing that takes long: nobody waits for the database meanwhile
        return _store(database, artifacts, checkpoints, found, read)
    except BundleError as error:
        raise BundleError(f"nothing was taken from {called or path.name}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            incoming.rmdir()  # unless somebody else is at it


def _clear_old(incoming: Path) -> None:
    for one in incoming.iterdir():
        with suppress(FileNotFoundError):
            if one.stat().st_mtime < time.time() - OLD:
                shutil.rmtree(one, ignore_errors=True)


def _check_files(found: Unpacked) -> None:
    """Whether every stored file has the content that its name promises, of the kind that its suffix promises."""
    for name, path in found.artifacts.items():
        digest, suffix = name.partition(".")[0], Path(name).suffix
        with open(path, "rb") as handle:
            if hashlib.file_digest(handle, "sha256").hexdigest() != digest:
                raise BundleError(f"artifacts/{name} does not have the content that its name says")
        if suffix in _FORMATS:
            _check_picture(path, name, _FORMATS[suffix])
        else:
            _check_tensors(path, name)
    for name, one in found.meaning.items():
        if one.file.endswith(".safetensors"):
            _check_tensors(found.files[name], name)
        elif one.file:
            told = read_json(found.files[name].read_bytes(), name)
            if not isinstance(told, dict) or not isinstance(told.get("state"), dict):
                raise BundleError(f"{name} is expected to hold a trainer's state")


def _check_picture(path: Path, name: str, expected: str) -> None:
    try:
        with Image.open(path, formats=[expected]) as picture:
            if max(picture.size) > PIXELS:
                raise BundleError(f"{name} has {picture.size[0]} x {picture.size[1]} pixels: at most {PIXELS} a side")
            picture.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BundleError(f"{name} is not a {expected} picture: {error}") from error


def _check_tensors(path: Path, name: str) -> None:
    try:
        with safe_open(path, framework="np") as tensors:
            list(tensors.keys())
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{name} does not hold tensors: {error}") from error


def _read(found: Unpacked, record_id: str, limits: Limits) -> _Read:
    """A record and its rows as the tables have them."""
    head, names = f"records/{record_id}/record.json", found.artifacts
    if head not in found.files:
        raise BundleError(f"it has no {head}")
    if found.files[head].stat().st_size > limits.line:
        raise BundleError(f"{head} is larger than {limits.line:,} bytes")
    record = checked_record(read_json(found.files[head].read_bytes(), head), record_id, names)
    rows: Rows = {}
    for table in TABLES[record["kind"]]:
        path = found.table(record_id, table.name)
        lines = read_lines(path, f"{record_id}/{table.name}", limits) if path else ()
        rows[table.name] = [checked_row(table, line, names) for line in lines]
    surplus = {one.table for one in found.meaning.values() if one.record == record_id and one.table} - set(rows)
    if surplus - {"record"}:
        raise BundleError(f"{record_id}: {sorted(surplus - {'record'})[0]!r} is no table of a {record['kind']}")
    check_agreement(record, rows, set(found.records))
    _check_checkpoints(found, record_id, rows.get("checkpoints", ()))
    return _Read(record, rows)


def _check_checkpoints(found: Unpacked, record_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Whether the files of each checkpoint are those that its row tells of."""
    said = {(row["epoch"], file): about["sha256"] for row in rows for file, about in row["files"].items()}
    listed = found.manifest["files"]
    there = {
        (one.epoch, one.file): listed[name]["sha256"]
        for name, one in found.meaning.items()
        if one.file and one.record == record_id
    }
    if said != there:
        raise BundleError(f"{record_id}: its checkpoints and their files differ")


def _store(
    database: Database, artifacts: Artifacts, checkpoints: Checkpoints, found: Unpacked, read: Sequence[_Read]
) -> Taken:
    moved: list[str] = []
    try:
        with database.write() as tx:
            known = _known(tx, read)
            fresh = [one for one in read if one.record["id"] not in known]
            notes = _insert(tx, fresh)
            _look(tx, fresh)
            named = {name for one in fresh for name in _files_of(one)}
            for name, path in found.artifacts.items():
                if name in named:
                    artifacts.adopt(path, name)
            for one in fresh:
                for row in one.rows.get("checkpoints", ()):
                    moved.append(one.record["id"])
                    _keep_checkpoint(checkpoints, found, one.record["id"], row)
    except BaseException as error:
        for record_id in moved:
            checkpoints.remove_all(record_id)
        if isinstance(error, IntegrityError):
            raise BundleError("its rows contradict each other, or what is here") from error
        raise
    return Taken(tuple(_told(one.record) for one in fresh), tuple(known.values()), tuple(notes))


def _known(tx: Session, read: Sequence[_Read]) -> dict[str, dict[str, Any]]:
    """The records that are here already. BundleError where an id is another record's here."""
    columns = (records.c[name] for name in ("id", "kind", "created_at", "name", "prompt", "deleted_at", "erased"))
    ids = [one.record["id"] for one in read]
    here = {row.id: row for row in tx.execute(sa.select(*columns).where(records.c.id.in_(ids)))}
    known = {}
    for one in read:
        row = here.get(one.record["id"])
        if row is None:
            continue
        if row.erased:
            raise BundleError(f"{row.id} was deleted here and is still being cleared away: try again in a minute")
        if (row.kind, row.created_at) != (one.record["kind"], one.record["created_at"]):
            raise BundleError(f"{row.id} is the id of another record here, and ids are never given twice")
        known[row.id] = _told(row._asdict()) | {"deleted": row.deleted_at is not None}
    return known


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record.get(name) for name in ("id", "kind", "name", "prompt")}


def _insert(tx: Session, fresh: Sequence[_Read]) -> list[str]:
    """Write all rows, parents before what has them; returns what a reader should know."""
    notes, coming = [], {one.record["id"] for one in fresh}
    parents = [one.record.get("parent") for one in fresh if one.record.get("parent")]
    here = set(tx.scalars(sa.select(records.c.id).where(records.c.id.in_(parents), ~records.c.erased)))
    for one in fresh:
        record_id, parent = one.record["id"], one.record.get("parent")
        values = {name: value for name, value in one.record.items() if name != "parent"}
        tx.execute(sa.insert(records).values(values | {"seq": 1}))
        if parent and parent not in coming | here:
            notes.append(f"{record_id} belongs to {parent}, which is not here")
    for one in fresh:
        record_id, parent = one.record["id"], one.record.get("parent")
        if parent in coming | here:
            tx.execute(sa.update(records).where(records.c.id == record_id).values(parent=parent))
    for one in fresh:
        for table in TABLES[one.record["kind"]]:
            more = {"record_id": one.record["id"]} | ({"seq": 1} if "seq" in table.c else {})
            rows = [row | more | _kept_under(table, row) for row in one.rows[table.name]]
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                tx.execute(sa.insert(table), rows[start : start + _ROWS_AT_ONCE])
    return notes


def _kept_under(table: sa.Table, row: Mapping[str, Any]) -> dict[str, str]:
    """A checkpoint lies here in a folder that is named here."""
    return {"folder": _folder(row)} if table is checkpoint_rows else {}


def _folder(row: Mapping[str, Any]) -> str:
    return f"taken-{row['epoch']}"


def _look(tx: Session, fresh: Sequence[_Read]) -> None:
    """See each record as a page would, so that nothing is taken that no page could show. BundleError."""
    for one in fresh:
        record_id, kind = one.record["id"], one.record["kind"]
        try:
            if kind == "session":
                json.dumps(sessions.view(tx, record_id), allow_nan=False)
                for step in sorted({row["step"] for row in one.rows["iterations"]}):
                    step_view(tx, record_id, step)
                sessions.stored_state(tx, record_id)
            elif kind == "train":
                runs.get_config(tx, record_id)
                runs.trials_of(tx, record_id)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise BundleError(f"{record_id} cannot be shown: {error!r:.100}") from error


def _files_of(one: _Read) -> set[str]:
    """The stored files that a record's rows name."""
    names = {one.record.get("picture")}
    for table in TABLES[one.record["kind"]]:
        files = [column.name for column in table.columns if column.type is records.c.picture.type]
        names.update(row.get(name) for row in one.rows[table.name] for name in files)
    return {name for name in names if name is not None}


def _keep_checkpoint(checkpoints: Checkpoints, found: Unpacked, record_id: str, row: Mapping[str, Any]) -> None:
    def fill(folder: Path) -> None:
        for name, one in found.meaning.items():
            if one == Inside(record=record_id, epoch=row["epoch"], file=one.file) and one.file:
                (folder / one.file).parent.mkdir(exist_ok=True)
                shutil.copyfile(found.files[name], folder / one.file)

    if checkpoints.write(record_id, _folder(row), fill) != row["files"]:
        raise BundleError(f"there is another checkpoint of {record_id} here")
