"""One server a data folder: a file lock that the system frees however its holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import LabError


@contextmanager
def only_server(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs. Raises LabError, naming the holder, where another process has it."""
    with open(folder / "serve.lock", "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            text = f"another lab (process {holder}) already serves {folder}: use that one, or another --data-dir"
            raise LabError(text) from error
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield
