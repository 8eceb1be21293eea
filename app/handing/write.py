"""Writing records into one zip. Two bundles of the same records are the same to the last byte."""

import hashlib
import json
import os
import platform
import secrets
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.handing.form import FORMAT, MANIFEST, TABLES, columns_of
from app.status import lab_version
from core.errors import LabError
from storage.artifacts import Artifacts
from storage.checkpoints import Checkpoints
from storage.columns import ARTIFACT
from storage.engine import Database, head_revision
from storage.jobs import FINAL
from storage.run_tables import checkpoints as checkpoint_rows
from storage.run_tables import trials, watched
from storage.tables import records
from storage.values import dumps, this
from storage.views import record_row

MOST = 200  # records in one bundle
ROWS_AT_ONCE = 5_000
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 2**20
_WITH_CHILDREN = ("train", "sweep")  # their searches and sessions are part of them


def write_bundle(
    database: Database, artifacts: Artifacts, checkpoints: Checkpoints, ids: Sequence[str], target: Path
) -> list[str]:
    """Write records and what belongs to them as one zip; returns the ids that are in it.

    A fine-tune brings its watched searches, a sweep its sessions. Raises LabError for a record that is not there, lies
    in the trash or is not at rest, for a target that is there already, and for a stored file that is lost or damaged.
    """
    wanted = _with_children(database, ids)
    if target.exists() or target.is_symlink():
        raise LabError(f"{target} is there already: expected a name that is free")
    if not target.parent.is_dir():
        raise LabError(f"there is no folder {target.parent}")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as handle:
            with zipfile.ZipFile(handle, "w") as archive:
                _Writer(database, artifacts, checkpoints, archive).write(wanted)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return wanted


def _with_children(database: Database, ids: Sequence[str]) -> list[str]:
    """The records asked for, each once, with those that are part of them. LabError where one cannot be handed on."""
    asked = list(dict.fromkeys(ids))
    if not 0 < len(asked) <= MOST:
        raise LabError(f"expected 1 to {MOST} records, got {len(asked)}")
    with database.read() as tx:
        wanted = list(asked)
        for record_id in wanted:  # which grows: a sweep's fine-tunes have watched searches
            row = record_row(tx, record_id)
            if row.deleted_at is not None:
                raise LabError(f"{this(row.kind)} lies in the trash: restore it first ({row.id})")
            if row.state not in (*FINAL, "paused"):
                raise LabError(f"{this(row.kind)} has not ended: wait for it, pause it or stop it first ({row.id})")
            if row.kind in _WITH_CHILDREN:
                children: list[str] = list(tx.scalars(_children(record_id)))
                wanted += [one for one in children if one not in wanted]
    return wanted


def _children(record_id: str) -> sa.Select[tuple[str]]:
    there = (records.c.parent == record_id, records.c.deleted_at.is_(None), ~records.c.erased)
    ended = records.c.state.in_((*FINAL, "paused"))
    return sa.select(records.c.id).where(*there, ended).order_by(records.c.created_at, records.c.id)


class _Writer:
    """One archive on its way: what is written is listed, and no file twice."""

    def __init__(self, database: Database, artifacts: Artifacts, checkpoints: Checkpoints, archive: zipfile.ZipFile):
        self.database = database
        self.artifacts = artifacts
        self.checkpoints = checkpoints
        self.archive = archive
        self.listed: dict[str, dict[str, Any]] = {}
        self.wanted: set[str] = set()

    def write(self, ids: Sequence[str]) -> None:
        """All records, then the manifest."""
        self.wanted = set(ids)
        said = [self._record(record_id) for record_id in ids]
        versions = {"lab": lab_version(), "schema": head_revision(), "python": platform.python_version()}
        manifest = {"format": FORMAT, **versions, "records": said, "files": dict(sorted(self.listed.items()))}
        self._put(MANIFEST, [_json(manifest)])

    def _record(self, record_id: str) -> dict[str, Any]:
        """A record with its rows and files; returns what the manifest says of it."""
        with self.database.read() as tx:
            row = record_row(tx, record_id)
        plain = {column.name: row._mapping[column.name] for column in columns_of(records)}
        self._put(f"records/{record_id}/record.json", [_json(plain)])
        names = {row.picture} - {None}
        for table in TABLES.get(row.kind, ()):
            pages = self._pages(table, record_id)
            lines = (_lines(table, page, names, self.wanted) for page in pages)
            self._put(f"records/{record_id}/{table.name}.jsonl", lines)
        for name in sorted(names):
            if f"artifacts/{name}" not in self.listed:
                self._put(f"artifacts/{name}", [self.artifacts.get(name)])
        for one in self._pages(checkpoint_rows, record_id) if row.kind == "train" else ():
            for checkpoint in one:
                self._checkpoint(record_id, checkpoint)
        return {name: plain[name] for name in ("id", "kind", "name", "prompt", "model", "created_at")}

    def _pages(self, table: sa.Table, record_id: str) -> Iterator[Sequence[sa.Row]]:
        """The rows of a record by key, in looks so short that nobody waits for them."""
        key = list(table.primary_key.columns)[1:]
        last: Sequence[Any] | None = None
        while True:
            query = sa.select(table).where(table.c.record_id == record_id)
            if last is not None:
                query = query.where(sa.tuple_(*key) > sa.tuple_(*(sa.literal(one) for one in last)))
            with self.database.read() as tx:
                page = _page(tx, query.order_by(*key))
            if page:
                yield page
            if len(page) < ROWS_AT_ONCE or not key:
                return
            last = [page[-1]._mapping[column.name] for column in key]

    def _checkpoint(self, record_id: str, row: sa.Row) -> None:
        folder = self.checkpoints.checked(record_id, row.folder, row.files)
        for file in sorted(row.files):
            with open(folder / file, "rb") as handle:
                self._put(f"checkpoints/{record_id}/{row.epoch}/{file}", iter(lambda: handle.read(_CHUNK), b""))

    def _put(self, name: str, parts: Any) -> None:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.external_attr = 0o644 << 16
        packed = name.endswith((".json", ".jsonl"))  # the others are packed already, or noise
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        digest, size = hashlib.sha256(), 0
        with self.archive.open(info, "w", force_zip64=True) as into:
            for part in parts:
                into.write(part)
                digest.update(part)
                size += len(part)
        self.listed[name] = {"bytes": size, "sha256": digest.hexdigest()}


def _page(tx: Session, query: sa.Select[Any]) -> Sequence[sa.Row]:
    return tx.execute(query.limit(ROWS_AT_ONCE)).all()


def _lines(table: sa.Table, rows: Sequence[sa.Row], names: set[str], ids: set[str]) -> bytes:
    """Rows as JSON, one a line; the stored files that they name are added to `names`."""
    columns = columns_of(table)
    files = [column.name for column in columns if column.type is ARTIFACT]
    kept = [row for row in rows if _goes(table, row, ids)]
    for row in kept:
        names.update(row._mapping[name] for name in files if row._mapping[name] is not None)
    return b"".join(
        dumps({column.name: row._mapping[column.name] for column in columns}).encode() + b"\n" for row in kept
    )


def _goes(table: sa.Table, row: sa.Row, ids: set[str]) -> bool:
    """Whether a row is handed on: not one about a session that stays here, nor a trial without a result."""
    if table is watched:
        return row.session_id in ids
    return table is not trials or row.result is not None


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
