"""Worker processes that are killed, supervised and orphaned, over the fake engine."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.locks import only_server
from app.services import Lab
from app.settings import ROOT, Settings
from app.supervisor import Supervisor
from core.errors import LabError
from storage import jobs, tables
from tests.integration.test_worker import at, science, shown, start, undisturbed, worker

COMMAND = [sys.executable, "-m", "tests.fake_worker", "--data-dir"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture
def supervise(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Supervisor]]:
    """Start a supervised fake worker; every one is stopped at the end."""
    monkeypatch.chdir(ROOT)
    started: list[Supervisor] = []

    def free(owner: str) -> None:
        with lab.database.write() as tx:
            jobs.expire(tx, owner)

    def begin(delay: float = 0.0, fatal: str = "") -> Supervisor:
        monkeypatch.setenv("LAB_TEST_DELAY", str(delay))
        monkeypatch.setenv("LAB_TEST_FATAL", fatal)
        supervisor = Supervisor([*COMMAND, str(lab.settings.data_dir)], free, first_delay=0.05)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield begin
    for supervisor in started:
        supervisor.stop()


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_five_kills_at_random_moments_change_nothing(lab: Lab, supervise: Callable[..., Supervisor]) -> None:
    expected = undisturbed(lab, arms=["ode"])
    record_id = start(lab, arms=["ode"])
    chance = random.Random(int.from_bytes(os.urandom(4)))
    supervisor = supervise(delay=0.03)
    kills = 0
    while kills < 5 and shown(lab, record_id)["state"] != "succeeded":
        seen = shown(lab, record_id)["seq"]
        wait_for(
            lambda seen=seen: shown(lab, record_id)["seq"] > seen + 2 or shown(lab, record_id)["state"] == "succeeded"
        )
        time.sleep(chance.uniform(0, 0.05))
        if supervisor.child.poll() is None:
            supervisor.child.kill()
            kills += 1
    wait_for(lambda: shown(lab, record_id)["state"] == "succeeded")
    assert kills >= 3, "it was killed while it worked"
    assert science(shown(lab, record_id)) == expected


def test_a_job_that_kills_every_worker_is_failed_at_last(lab: Lab, supervise: Callable[..., Supervisor]) -> None:
    deadly, stop = start(lab, seed=1), threading.Event()
    worker(lab, at("step 2", stop.set)).run(stop)  # step 3 may be under way, and is then recorded
    harmless = start(lab, seed=2, num_steps=3, arms=[])
    with lab.database.write() as tx:
        tx.execute(tables.jobs.update().where(tables.jobs.c.record_id == deadly).values(lost=jobs.MAX_LOST - 2))
    supervise(fatal="iteration 4 0")  # a session of three steps never comes there
    wait_for(lambda: shown(lab, harmless)["state"] == "succeeded")
    view = shown(lab, deadly)
    assert view["state"] == "failed" and "the worker died" in view["error"]


def test_stopping_the_supervisor_drains_the_worker_and_requeues(lab: Lab, supervise: Callable[..., Supervisor]) -> None:
    record_id = start(lab)
    supervisor = supervise(delay=0.05)
    wait_for(lambda: shown(lab, record_id)["iterations"])
    pid = supervisor.child.pid
    supervisor.stop()
    assert not alive(pid)
    assert shown(lab, record_id)["job"]["status"] == "pending"
    assert worker(lab).run_one() and shown(lab, record_id)["state"] == "succeeded"


def test_sigterm_drains_the_iteration_and_requeues(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TEST_DELAY", "0.05")
    expected, record_id = undisturbed(lab), start(lab)
    with subprocess.Popen([*COMMAND, str(lab.settings.data_dir)], cwd=ROOT) as child:
        wait_for(lambda: shown(lab, record_id)["iterations"])
        child.terminate()
        assert child.wait(20) == 0
    assert shown(lab, record_id)["job"]["status"] == "pending"
    assert worker(lab).run_one()
    assert science(shown(lab, record_id)) == expected


def test_a_worker_ends_when_its_parent_is_killed(lab: Lab, tmp_path: Path) -> None:
    script = (
        "import sys, time; from app.supervisor import Supervisor\n"
        "s = Supervisor(sys.argv[1:], print); s.start()\n"
        "while s.child is None: time.sleep(.01)\n"
        "print(s.child.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, *COMMAND, str(lab.settings.data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        record_id = start(lab, num_steps=2, arms=[])
        wait_for(lambda: shown(lab, record_id)["state"] == "succeeded")
        assert alive(child)
        parent.kill()
        parent.wait()
    wait_for(lambda: not alive(child), 30)


def test_a_second_server_on_one_folder_is_refused(tmp_path: Path) -> None:
    with only_server(tmp_path):
        with pytest.raises(LabError, match=f"process {os.getpid()}\\) already serves"), only_server(tmp_path):
            pass
        command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(tmp_path)]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert second.returncode == 2 and "already serves" in second.stderr and "Traceback" not in second.stderr
    with only_server(tmp_path):
        pass


def test_a_worker_that_ends_before_its_parent_ends_cleanly() -> None:
    code = (
        "import threading, time; from app.worker import _watch_parent; "
        "threading.Thread(target=_watch_parent, args=(threading.Event(),), daemon=True).start(); time.sleep(0.3)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=ROOT) as worker:
        assert worker.wait(timeout=60) == 0, "the thread that waits for the parent must not abort the interpreter"
