"""Files named by their content: written once, never changed, safe to cache for ever."""

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from core.errors import StorageError

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,12}")
_SUFFIX = re.compile(r"[a-z0-9]{1,12}")
_TEMPORARY = ".tmp-"


class Artifacts:
    """A folder of files `<sha256>.<suffix>`, spread over 256 subfolders.

    Writing is atomic: a name is either absent or holds the whole content, whatever dies when.
    """

    def __init__(self, folder: str | Path):
        """`folder` is made if it is not there."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes, suffix: str) -> str:
        """Keep `content` and return its name. `suffix` is up to twelve small letters or digits, such as "webp"."""
        if not _SUFFIX.fullmatch(suffix):
            raise StorageError(f"a file's suffix is expected to be small letters or digits, got {suffix!r}")
        name = f"{hashlib.sha256(content).hexdigest()}.{suffix}"
        path = self.path(name)
        with self._lock(fcntl.LOCK_SH):
            try:
                os.utime(path)  # young again: a purge under way spares it
            except FileNotFoundError:
                _write(path, content)
        return name

    def adopt(self, source: Path, name: str) -> None:
        """Take over a file that lies flushed on the same disk, and whose content is known to be what `name` says.

        Either way it is gone from where it was.
        """
        path = self.path(name)
        with self._lock(fcntl.LOCK_SH):
            try:
                os.utime(path)
                source.unlink()
            except FileNotFoundError:
                path.parent.mkdir(exist_ok=True)
                os.utime(source)
                os.replace(source, path)
                flush(path.parent)

    def path(self, name: str) -> Path:
        """Where the file of that name is or would be. Anything but a name of ours raises StorageError."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise StorageError(f"not the name of a stored file: {name!r:.100}")
        return self.folder / name[:2] / name

    def get(self, name: str) -> bytes:
        """The content. Raises StorageError if the file is missing or no longer what its name says."""
        try:
            content = self.path(name).read_bytes()
        except FileNotFoundError:
            raise StorageError(f"the file {name} is missing from {self.folder}") from None
        if hashlib.sha256(content).hexdigest() != name.partition(".")[0]:
            raise StorageError(f"the file {name} in {self.folder} is damaged: its content does not match its name")
        return content

    def put_tensor(self, values: np.ndarray) -> str:
        """Keep an array as float32 safetensors and return its name."""
        return self.put(save({"values": np.ascontiguousarray(values, dtype=np.float32)}), "safetensors")

    def get_tensor(self, name: str) -> np.ndarray:
        """The array kept by `put_tensor`, float32, bit for bit."""
        return load(self.get(name))["values"]

    def purge(self, referenced: Container[str], older_than: float = 3600.0) -> list[str]:
        """Remove files that are not in `referenced` and older than `older_than` seconds; returns their names.

        A file is put before the row that names it is written, so young files are never orphans for certain.
        """
        removed = []
        for folder in sorted(path for path in self.folder.glob("??") if path.is_dir()):
            with self._lock(fcntl.LOCK_EX):  # a subfolder at a time: whoever puts waits no longer than for one
                limit = time.time() - older_than
                for path in sorted(folder.iterdir()):
                    ours = _NAME.fullmatch(path.name) or path.name.startswith(_TEMPORARY)
                    if ours and path.name not in referenced and path.stat().st_mtime < limit:
                        path.unlink()
                        removed.append(path.name)
        return removed

    @contextmanager
    def _lock(self, mode: int) -> Iterator[None]:
        """Many may put at once; a purge waits for them and they for it, or it could take what was just put."""
        with open(self.folder / ".lock", "a") as handle:
            fcntl.flock(handle, mode)
            yield


def _write(path: Path, content: bytes) -> None:
    """Write, fsync, rename, fsync the folder: after a power cut the name holds all of it or is not there."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with open(temporary, "xb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Have a file or a folder on the disk before anything tells of it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
