"""The lab as it is started: server, supervised worker, the model that came with it."""

import os
import random
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.services import Lab
from app.settings import ROOT, Settings
from tests.integration.test_worker import science, shown
from tests.integration.test_worker_processes import alive, wait_for

PLAIN = {"prompt": "a photo of a red circle", "seed": 5, "num_steps": 6, "arms": ["ode"], "threads": 1}


@dataclass
class Served:
    process: subprocess.Popen[str]
    address: str
    lab: Lab

    def worker_pid(self) -> int:
        tasks = Path(f"/proc/{self.process.pid}/task")
        return int(wait_for(lambda: "".join(path.read_text() for path in tasks.glob("*/children")).split())[0])

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.address + path, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    found = re.fullmatch(r"Noise Search Lab: (http://127\.0\.0\.1:\d+)/\n", line)
    assert found, line
    lab = Lab(Settings(folder, recorded=None))
    yield Served(process, found[1], lab)
    lab.close()
    if process.poll() is None:
        process.kill()
    process.wait()


def finished(lab: Lab, record_id: str) -> dict[str, Any]:
    return wait_for(lambda: (view := shown(lab, record_id))["state"] in ("succeeded", "failed") and view, 240)


def test_a_session_runs_and_its_pictures_are_served(served: Served) -> None:
    assert served.get("/health")[0] == 200
    view = finished(served.lab, served.lab.start_session(PLAIN))
    assert view["error"] is None
    status, content = served.get(f"/artifacts/{view['arms'][0]['image']}")
    assert status == 200 and content.startswith(b"\x89PNG")
    assert served.get("/artifacts/../lab.sqlite")[0] in (400, 404)


def recorded_results(view: dict[str, Any]) -> int:
    return len(view["iterations"]) + len(view["steps"]) + len(view["arms"])


def test_five_kills_at_random_moments_leave_no_trace_in_the_result(served: Served) -> None:
    first = finished(served.lab, served.lab.start_session(PLAIN))
    moments = sorted(random.sample(range(1, recorded_results(first) - 1), 5))
    record_id = served.lab.start_session(PLAIN)
    for moment in moments:
        wait_for(lambda moment=moment: recorded_results(shown(served.lab, record_id)) >= moment)
        pid = served.worker_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: not alive(pid))
    second = finished(served.lab, record_id)
    assert second["job"]["attempt"] >= 2, moments
    assert science(second) == science(first), moments


def test_ending_the_server_ends_its_worker(served: Served) -> None:
    pid = served.worker_pid()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    assert not alive(pid)
