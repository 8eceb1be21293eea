"""`python -m tests.benchmarks bench.json`: how fast the lab is here, one key a benchmark."""

import argparse
import json
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.services import Lab
from app.settings import Settings
from app.toolbox import torch_toolbox
from app.worker import Worker
from core.config import from_dict
from storage import jobs, sessions
from tests.fakes import fake_toolbox

PROMPT = {"prompt": "a photo of a red circle left of a blue star"}


def waited(lab: Lab, record_id: str, until: Callable[[dict[str, Any]], object]) -> float:
    """Seconds until a session's view fulfils `until`, asked for as a page does: 20 times a second, for what is new."""
    began, seq = time.perf_counter(), None
    while True:
        view = lab.session_view(record_id, after_seq=seq)
        if view is not None and until(view):
            return time.perf_counter() - began
        seq = seq if view is None else view["seq"]
        time.sleep(0.05)


def default_session(lab: Lab) -> dict[str, float]:
    """A default search through a warm worker: from the click to the first candidates and to the end with all arms."""
    worker = Worker(lab.database, lab.artifacts, torch_toolbox())
    began = time.perf_counter()
    worker.resident.warm_up()
    ready = time.perf_counter() - began
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        record_id = lab.start_session(PROMPT)
        first = waited(lab, record_id, lambda view: view["iterations"])
        rest = waited(lab, record_id, lambda view: view["state"] in ("succeeded", "failed"))
    finally:
        stop.set()
        thread.join()
    return {"model_ready_seconds": ready, "first_candidates_seconds": first, "session_seconds": first + rest}


def recording(lab: Lab) -> dict[str, float]:
    """The same session with an engine that costs nothing: what files, rows and commands cost."""
    config = from_dict(PROMPT)
    with lab.database.write() as tx:
        record_id = sessions.create(tx, config)
        jobs.enqueue(tx, kind="explore", record_id=record_id)
    began = time.perf_counter()
    Worker(lab.database, lab.artifacts, fake_toolbox()).run_one()
    spent = time.perf_counter() - began
    view = lab.session_view(record_id) or {}
    events = len(view["iterations"]) + len(view["steps"]) + len(view["arms"]) + 2
    return {"recorded_event_ms": 1000 * spent / events} | viewing(lab, record_id)


def viewing(lab: Lab, record_id: str) -> dict[str, float]:
    """A poll that finds something new, and one that does not."""

    def milliseconds(seq: int | None) -> float:
        spent = []
        for _ in range(50):
            began = time.perf_counter()
            lab.session_view(record_id, after_seq=seq)
            spent.append(1000 * (time.perf_counter() - began))
        return statistics.median(spent)

    seq = (lab.session_view(record_id) or {})["seq"]
    return {"view_ms": milliseconds(None), "quiet_poll_ms": milliseconds(seq)}


def main(path: Path) -> None:
    """Run all and write one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Settings(Path(folder), recorded=None))
        figures = recording(lab) | default_session(lab)
        lab.close()
    found = {"machine": platform.platform(), **{name: round(value, 3) for name, value in figures.items()}}
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(path.read_text(), end="")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=Path("bench.json"))
    main(parser.parse_args().path)
