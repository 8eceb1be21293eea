"""Whether a worker is there, and on what it runs: the worker writes a note into the data folder, pages read it.

The note's lock is held as long as its writer lives, and the system frees it however the writer ends; so a note that
was left behind is told from one that holds. Nothing here imports torch.
"""

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.values import iso

NOTE = "worker.json"
FACTS = ("device", "device_name", "device_memory", "unused", "torch")
_reading = threading.Lock()


def announce(folder: Path, wanted: str) -> Callable[[], None]:
    """Note in `folder` that this process is a worker; call what is returned once it can take jobs.

    Keep the returned function for as long as the worker works: it holds the lock. `wanted` is the device asked for.
    """
    handle = open(folder / NOTE, "a+")  # noqa: SIM115 - open until the process ends
    fcntl.flock(handle, fcntl.LOCK_SH)  # shared: a second worker is none the worse for the first
    started = time.time()

    def write(ready: bool) -> None:
        told = {
            "pid": os.getpid(),
            "started": started,
            "ready": ready,
            **device_facts(wanted, sys.modules.get("torch")),
        }
        handle.seek(0)
        handle.truncate()
        handle.write(json.dumps(told))
        handle.flush()

    write(False)
    return lambda: write(True)


def device_facts(wanted: str, torch: Any) -> dict[str, Any]:
    """`device` (cpu, cuda, mps), `device_name`, `device_memory` in bytes, a GPU that is `unused`, `torch`'s version.

    What is not known is None. `torch` is the imported module, or None where it has not been imported.
    """
    facts: dict[str, Any] = dict.fromkeys(FACTS)
    if torch is None:
        return facts
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    apple = torch.backends.mps.is_available()
    facts |= {"torch": str(torch.__version__), "device": "cpu", "device_memory": physical_memory()}
    if gpu is not None and wanted in ("auto", "cuda"):
        return facts | {"device": "cuda", "device_name": gpu.name, "device_memory": int(gpu.total_memory)}
    if apple and (wanted == "mps" or (wanted == "auto" and gpu is None)):
        return facts | {"device": "mps", "device_name": "Apple's GPU"}
    return facts | {"unused": gpu.name if gpu else "Apple's GPU" if apple else None}


def physical_memory() -> int | None:
    """This machine's memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def read_presence(folder: Path) -> dict[str, Any]:
    """The worker of a data folder: `state`, a sentence of `text`, and what its note says (None where it says nothing).

    `state` is "ready", "starting" (it loads the model), "gone" (it ended, or was killed) or "never" (none was here).
    """
    told, alive = _note(folder / NOTE)
    state = ("ready" if told.get("ready") else "starting") if alive else ("gone" if told else "never")
    started = told.get("started")
    return {
        "state": state,
        "text": TEXTS[state],
        "started": iso(started) if isinstance(started, int | float) else None,
        **{name: told.get(name) for name in ("pid", *FACTS)},
    }


TEXTS = {
    "ready": "The worker is ready: it takes the next job as soon as it is free.",
    "starting": "The worker is starting: it loads the model. Jobs wait until it is ready.",
    "gone": (
        "The worker has ended, and jobs wait. The lab starts another by itself within seconds; "
        "if this stays, the terminal of `python -m app serve` says why."
    ),
    "never": (
        "No worker has been seen in this data folder, so jobs wait. `python -m app serve` starts one by itself; "
        "`python -m app worker` is one alone."
    ),
    "demo": "No worker: this is a demonstration of recorded sessions, and nothing runs.",
}


def _note(path: Path) -> tuple[dict[str, Any], bool]:
    """What the note says, and whether its writer lives. One that cannot be read is being written, or damaged."""
    try:
        handle = open(path)  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return {}, False
    with _reading, handle:
        alive = _is_locked(handle.fileno())
        try:
            told = json.load(handle)
        except ValueError:
            told = None
    return told if isinstance(told, dict) else {"ready": False}, alive


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
