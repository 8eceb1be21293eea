"""Opening a zip that may have been made to do harm: everything in it is counted, and none of its names is a path.

What is unpacked lies in a folder of the lab's own, under numbers, and every file is what the manifest says of it.
"""

import errno
import hashlib
import json
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.handing.form import MANIFEST, BundleError, Inside, Limits, inside, upgraded
from app.handing.shapes import fields, is_plain, keyed, text, whole

_CHUNK = 2**20
_ENTRY = 46  # bytes that an entry of a zip's directory has at least
_PACKING = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LISTED = keyed(fields(bytes=whole, sha256=text))
# What Python's reader of archives raises where one is damaged.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Unpacked:
    """A bundle whose files are all there and are what they are said to be: where each lies, and what it is."""

    records: tuple[str, ...]
    files: dict[str, Path]
    meaning: dict[str, Inside]
    manifest: dict[str, Any]

    @property
    def artifacts(self) -> dict[str, Path]:
        """Pictures and tensors by the names that the lab keeps them under."""
        return {one.artifact: self.files[name] for name, one in self.meaning.items() if one.artifact}

    def table(self, record_id: str, table: str) -> Path | None:
        """The file of a record's rows of one table; None where it brings none."""
        return self.files.get(f"records/{record_id}/{table}.jsonl")


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever an archive that is damaged makes Python's reader say, it is told as that."""
    try:
        yield
    except _DAMAGED as error:
        raise BundleError(f"it is damaged, or no zip ({error})") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise BundleError(f"it cannot be read ({error})") from error


def unpack(path: Path, into: Path, limits: Limits, progress: Progress = lambda done, total: None) -> Unpacked:
    """Unpack a bundle into the empty folder `into`, counting. After a BundleError what is there is rubbish.

    `progress` hears the bytes that are unpacked so far, and all that there will be.
    """
    with open(path, "rb") as handle, _reading():
        _check_directory(handle, limits)
        with zipfile.ZipFile(handle) as archive:
            entries = _entries(archive, limits)
            manifest = _manifest(archive, entries, limits)
            listed = manifest["files"]
            total = _check_listed(entries, listed, limits, free=shutil.disk_usage(into).free)
            meaning = {name: inside(name) for name in listed}
            files, done = {}, 0
            for number, (name, said) in enumerate(listed.items()):
                files[name] = into / f"{number:06d}"
                _copy(archive, entries[name], files[name], said, name)
                done += said["bytes"]
                progress(done, total)
    ids = tuple(one["id"] for one in manifest["records"])
    foreign = {one.record for one in meaning.values() if one.record} - set(ids)
    if len(set(ids)) != len(ids) or foreign:
        raise BundleError(f"its manifest lists the records {', '.join(ids)[:80]}, its files are of others")
    return Unpacked(ids, files, meaning, manifest)


def _check_directory(handle: IO[bytes], limits: Limits) -> None:
    """Refuse a directory that would fill the memory before anything of it could be counted."""
    handle.seek(0, os.SEEK_END)
    handle.seek(-min(handle.tell(), 22 + 65_535 + 20 + 56), os.SEEK_END)
    tail = handle.read()
    at, at_64 = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
    if at < 0:
        raise BundleError("it is not a whole zip: its end is missing")
    size = struct.unpack_from("<L", tail, at + 12)[0]
    if size == 0xFFFFFFFF:
        size = struct.unpack_from("<Q", tail, at_64 + 40)[0] if at_64 >= 0 else 0
    if size > (limits.files + 1) * (_ENTRY + 200):
        raise BundleError(f"its list of files takes {size:,} bytes: more than {limits.files:,} files need")


def _entries(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by name. BundleError for more than is meant, twice the same, links, folders and secrets."""
    found: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > limits.files + 1:
        raise BundleError(f"it holds {len(archive.infolist()):,} files, at most {limits.files:,} are expected")
    for info in archive.infolist():
        name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
        if name in found:
            raise BundleError(f"it holds {name!r:.80} twice")
        if kind not in (0, stat.S_IFREG) or info.is_dir():
            raise BundleError(f"{name!r:.80} is not a plain file")
        if info.flag_bits & 0x1 or info.compress_type not in _PACKING:
            raise BundleError(f"{name!r:.80} is encrypted or packed in a way that the lab does not use")
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise BundleError(f"{name!r:.80} lies about its size")
        found[name] = info
    return found


def _manifest(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], limits: Limits) -> dict[str, Any]:
    info = entries.get(MANIFEST)
    if info is None:
        raise BundleError(f"it has no {MANIFEST}: it was not written by `bundle` or a page's Export")
    if info.file_size > limits.manifest:
        raise BundleError(f"its manifest says that it has {info.file_size:,} bytes: at most {limits.manifest:,}")
    content = _bounded(archive, info, limits.manifest)
    found = read_json(content, MANIFEST)
    if not isinstance(found, dict):
        raise BundleError(f"its manifest is expected to be an object, got {type(found).__name__}")
    if "session" in found and "records" not in found:
        raise BundleError(
            "it is a session as tables and pictures, which `export` writes for other programs: "
            "`bundle` and the pages' Export write what a lab can take in"
        )
    found = upgraded(found)
    said = found.get("records")
    if not isinstance(said, list) or not said or not all(isinstance(one, dict) and _is_id(one) for one in said):
        raise BundleError(f"its manifest is expected to list records, got {said!r:.60}")
    _LISTED.check(found.get("files"), "the files of its manifest")
    return found


def _is_id(said: dict[str, Any]) -> bool:
    record_id = said.get("id")
    return isinstance(record_id, str) and record_id.isascii() and record_id.isalnum() and len(record_id) <= 24


def _check_listed(entries: dict[str, Any], listed: dict[str, Any], limits: Limits, free: int) -> int:
    """Whether archive and manifest tell of the same files, and all that fits; returns the bytes in all."""
    differing = entries.keys() ^ (listed.keys() | {MANIFEST})
    if differing:
        raise BundleError(f"its manifest and its files differ: {sorted(differing)[0]!r:.80}")
    for name, said in listed.items():
        if not 0 <= said["bytes"] <= limits.file:
            raise BundleError(f"{name} would take {said['bytes']:,} bytes: at most {limits.file:,}")
        if said["bytes"] != entries[name].file_size:
            raise BundleError(f"{name}: its manifest says {said['bytes']:,} bytes, the zip {entries[name].file_size:,}")
    total = sum(said["bytes"] for said in listed.values())
    if total > limits.total:
        raise BundleError(f"unpacked it would take {total:,} bytes: at most {limits.total:,}")
    if total > free:
        raise BundleError(f"unpacked it takes {total:,} bytes, and the lab's disk has {free:,} left")
    return total


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, said: dict[str, Any], name: str) -> None:
    """Unpack one file, no byte more than was said, and see that it is the one that was meant."""
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as source, open(target, "xb") as out:
        while part := source.read(_CHUNK):
            size += len(part)
            if size > said["bytes"]:
                raise BundleError(f"{name} is larger than the {said['bytes']:,} bytes that it is said to have")
            digest.update(part)
            out.write(part)
    if size != said["bytes"] or digest.hexdigest() != said["sha256"]:
        raise BundleError(f"{name} is not what its manifest says: its digest or its size differs")


def _bounded(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    with archive.open(info) as source:
        content = source.read(most + 1)
    if len(content) > most or len(content) != info.file_size:
        raise BundleError(f"{info.filename} is larger than {most:,} bytes, or not of the size that the zip says")
    return content


def read_json(content: bytes, what: str) -> Any:
    """Strict JSON: no NaN, no number that a double cannot hold, no text that a database cannot. BundleError."""
    try:
        found = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{what} cannot be read as JSON: {error}") from error
    if not is_plain(found):
        raise BundleError(f"{what} holds JSON that is too deep, or text or numbers that no database can keep")
    return found


def read_lines(path: Path, what: str, limits: Limits) -> Iterator[Any]:
    """The values of a file with one JSON value a line."""
    with open(path, "rb") as handle:
        while line := handle.readline(limits.line + 1):
            if len(line) > limits.line:
                raise BundleError(f"{what} has a line of more than {limits.line:,} bytes")
            yield read_json(line, what)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
