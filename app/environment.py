"""What a run ran on and what it said: versions, machine, the end of its output, CPU time and memory."""

import io
import logging
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from importlib import metadata
from typing import Any

from app.presence import device_facts
from app.settings import ROOT
from app.status import lab_version
from storage.engine import Database
from storage.replays import keep_origin

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "numpy", "safetensors")


def environment(device: str, threads: int) -> dict[str, Any]:
    """Everything that a repetition would have to share. `device` is the one asked for."""
    facts = device_facts(device, sys.modules.get("torch"))
    return {
        "lab": lab_version(),
        "commit": code_version(),
        "python": platform.python_version(),
        **machine(),
        "threads": threads,
        "device": facts["device"],
        "device_name": facts["device_name"],
        "packages": {name: _version(name) for name in PACKAGES},
    }


@cache
def machine() -> dict[str, Any]:
    """What tells this machine from another in the notes of what records were made on; no names of people's machines."""
    return {"platform": platform.platform(), "cores": os.cpu_count()}


@cache
def origin(device: str, threads: int) -> dict[str, Any]:
    """`environment`, worked out once in a process: records are told to have been made on it. Not to be changed."""
    return environment(device, threads)


def note_origin(database: Database, record_id: str, device: str, threads: int) -> None:
    """Keep with a record what it is being made on, here and now."""
    told = origin(device, threads)
    with database.write() as tx:
        keep_origin(tx, record_id, told)


def code_version() -> str | None:
    """The checkout's commit, marked where files differ from it; None where it is no checkout."""
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return shown.stdout.decode().strip() or None if shown.returncode == 0 else None


def usage() -> dict[str, float]:
    """CPU seconds and the most memory (MB) of this process so far."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1_000  # bytes there, kB elsewhere
    return {"cpu_seconds": spent.ru_utime + spent.ru_stime, "peak_memory_mb": spent.ru_maxrss * unit / 1e6}


def _version(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


class Output:
    """The end of what a run says, a page of it."""

    def __init__(self, before: str = "", limit: int = 4_096):
        """Goes on from what earlier attempts said."""
        self.text = before
        self.limit = limit

    def say(self, line: str) -> None:
        """Add a line of the run's own, with the time."""
        self.add(f"{time.strftime('%H:%M:%S')} {line}\n")

    def add(self, text: str) -> None:
        """Add text as it comes."""
        self.text = (self.text + text)[-self.limit :]

    @contextmanager
    def heard(self) -> Iterator["Output"]:
        """Until the block ends, listen to what is printed and logged; all of it still goes where it went."""
        handler = logging.StreamHandler(_Tee(None, self))
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        logging.getLogger().addHandler(handler)
        try:
            with redirect_stdout(_Tee(sys.stdout, self)), redirect_stderr(_Tee(sys.stderr, self)):
                yield self
        finally:
            logging.getLogger().removeHandler(handler)


class _Tee(io.TextIOBase):
    """Writes to a stream, where there is one, and into a run's output."""

    def __init__(self, stream: Any, output: Output):
        self._stream = stream
        self._output = output

    def write(self, text: str) -> int:
        self._output.add(text)
        return len(text) if self._stream is None else int(self._stream.write(text) or 0)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("nothing but memory")
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        return self._stream is not None and bool(self._stream.isatty())
