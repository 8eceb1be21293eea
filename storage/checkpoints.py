"""Checkpoints of fine-tunes: folders of files, each complete or not there, with every file's digest in the database."""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import StorageError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_TEMPORARY = ".tmp-"


class Checkpoints:
    """A folder with a folder a record, and in it one a checkpoint, named by attempt and epoch."""

    def __init__(self, folder: Path):
        """Made when the first checkpoint is written."""
        self.folder = folder

    def path(self, record_id: str, name: str) -> Path:
        """Where a checkpoint lies or would lie. StorageError for what cannot be a name of ours."""
        if not (_NAME.fullmatch(record_id) and _NAME.fullmatch(name)):
            raise StorageError(f"not the name of a checkpoint: {record_id!r:.40}, {name!r:.40}")
        return self.folder / record_id / name

    def write(self, record_id: str, name: str, save: Callable[[Path], Any]) -> dict[str, dict[str, Any]]:
        """Have `save` fill a folder, and keep it under that name: {file: {sha256, bytes}}.

        The folder appears with its whole content, safe from a power cut, or not at all. One of that name that is there
        already is complete, and kept as it is.
        """
        path = self.path(record_id, name)
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.parent / f"{_TEMPORARY}{name}-{secrets.token_hex(4)}"
            temporary.mkdir()
            try:
                save(temporary)
                for one in (*_files(temporary), *(each for each in temporary.rglob("*") if each.is_dir()), temporary):
                    _flush(one)
                os.replace(temporary, path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            _flush(path.parent)
        return {str(one.relative_to(path)): _about(one) for one in _files(path)}

    def checked(self, record_id: str, name: str, files: Mapping[str, Mapping[str, Any]]) -> Path:
        """The folder of a checkpoint, once every file is what it was. StorageError says which one is not."""
        path = self.path(record_id, name)
        for file, about in files.items():
            if not (path / file).is_file():
                raise StorageError(f"the checkpoint {name} of {record_id} is not complete: {file} is missing")
            if _about(path / file)["sha256"] != about["sha256"]:
                raise StorageError(f"the checkpoint {name} of {record_id} is damaged: {file} is not what was written")
        return path

    def remove(self, record_id: str, name: str) -> None:
        """Remove a checkpoint; nothing happens where there is none."""
        shutil.rmtree(self.path(record_id, name), ignore_errors=True)

    def records(self) -> set[str]:
        """The records that have checkpoints here."""
        return {one.name for one in self.folder.iterdir()} if self.folder.is_dir() else set()

    def remove_all(self, record_id: str) -> None:
        """Remove every checkpoint of a record."""
        shutil.rmtree(self.folder / record_id, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file())


def _about(file: Path) -> dict[str, Any]:
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return {"sha256": digest, "bytes": file.stat().st_size}


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
