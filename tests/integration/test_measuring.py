"""Reliability measurements over the fake engine: recorded, obeyed, killed, resumed, and never in anybody's way."""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.measurements import Measurements
from app.services import Lab
from app.settings import ROOT, Settings
from app.supervisor import Supervisor
from core.config import ExploreConfig
from core.measure_config import MeasureConfig
from core.plan import measurement_cost
from storage import jobs, reliability
from tests.fakes import fake_reward, fake_toolbox
from tests.integration import test_worker as sessions
from tests.integration.test_worker import at
from tests.integration.test_worker_processes import COMMAND, alive, wait_for

CONFIG = MeasureConfig(
    ("a photo of a red circle", "a photo of a blue star"),
    ExploreConfig("-", model="fake", num_steps=4, rewards={"shapes-clip": 1.0, "shapes-verifier": 0.0}),
    seeds=(0, 7),
    num_siblings=5,
    estimates=("literal", "sde", "5-step"),
)
EVENTS = 12


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def start(lab: Lab, **changes: Any) -> str:
    """Queue a measurement of the fake model, which no registry knows."""
    with lab.database.write() as tx:
        record_id = reliability.create(tx, replace(CONFIG, **changes))
        jobs.enqueue(tx, kind=jobs.MEASURE, record_id=record_id, lane="batch")
    return record_id


def worker(lab: Lab, before: Callable[[str], None] = lambda name: None, **options: Any) -> Any:
    return sessions.Worker(lab.database, lab.artifacts, fake_toolbox(before, fake_reward), lane="batch", **options)


def shown(lab: Lab, record_id: str) -> dict[str, Any]:
    view = Measurements(lab).view(record_id)
    assert view is not None
    return view


def state(lab: Lab, record_id: str) -> str:
    with lab.database.read() as tx:
        return reliability.measurement_row(tx, record_id).state


def stored(lab: Lab, record_id: str) -> list[Any]:
    """What must not depend on how a measurement was run: all that is stored of it."""
    with lab.database.read() as tx:
        rows = reliability.measured(tx, record_id, list(range(4)))
    return [(one.row, one.step, one.prompt, one.seed, one.sigma, one.data, one.guesses, one.finals) for one in rows]


def undisturbed(lab: Lab, **changes: Any) -> list[Any]:
    record_id = start(lab, **changes)
    assert worker(lab).run_one()
    return stored(lab, record_id)


def test_a_measurement_is_recorded_from_its_first_row_to_its_last(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab).run_one() and not worker(lab).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["status"], view["error"], view["progress"]) == (
        "succeeded",
        "succeeded",
        None,
        1.0,
    )
    assert [row["steps_done"] for row in view["rows"]] == [[0, 1, 2]] * 4 and view["rows_done"] == 4
    assert [(row["prompt"], row["seed"]) for row in view["rows"]] == CONFIG.pairs
    assert len(view["sigmas"]) == 5 and view["steps"] == [0, 1, 2]
    cost = measurement_cost(CONFIG, 2)
    assert view["planned"]["nfe"] == cost.nfe
    listed = lab.recent(1)[0]
    assert (listed["id"], listed["kind"], listed["seconds"]) == (record_id, "reliability", view["cost"]["seconds"])
    assert set(listed["headline"]) == {"rho", "window"} and lab.artifact_path(listed["picture"]).is_file()
    assert lab.default_record() is None, "Explore cannot open it"


def test_its_sheets_hold_all_siblings(lab: Lab) -> None:
    from PIL import Image

    record_id = start(lab, num_siblings=20)
    worker(lab).run_one()
    step = Measurements(lab).row(record_id, 3)["steps"][1]
    sheet = step["sheet"]
    assert sheet == {"columns": 16, "cell": 15}
    for name in ("guesses", "finals"):
        with Image.open(lab.artifact_path(step[name])) as picture:
            assert picture.size == (16 * sheet["cell"], 2 * sheet["cell"])


def test_pause_stops_between_two_events_and_continue_goes_on(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    asked = Measurements(lab)
    worker(lab, at("siblings 1 1", lambda: asked.command(record_id, "pause"))).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["mode"]) == ("paused", "paused")
    assert [row["steps_done"] for row in view["rows"]] == [[0, 1, 2], [0, 1], [], []]
    assert not worker(lab).run_one(), "it waits for a command"
    asked.command(record_id, "step")
    worker(lab).run_one()
    assert [row["steps_done"] for row in shown(lab, record_id)["rows"]] == [[0, 1, 2], [0, 1, 2], [], []]
    assert shown(lab, record_id)["state"] == "paused"
    asked.command(record_id, "continue")
    assert worker(lab).run_one() and stored(lab, record_id) == expected


def test_cancel_ends_it_and_trying_again_measures_only_what_is_missing(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    worker(lab, at("siblings 2 0", lambda: Measurements(lab).command(record_id, "cancel"))).run_one()
    assert state(lab, record_id) == "cancelled" and len(stored(lab, record_id)) == 7
    job = lab.queue()["finished"][0]
    assert job["record_id"] == record_id and 0 < job["progress"] < 1
    lab.retry_job(job["job_id"])
    events: list[str] = []
    assert worker(lab, events.append).run_one()
    assert events == [f"siblings {row} {step}" for row in (2, 3) for step in range(3)]
    assert stored(lab, record_id) == expected and state(lab, record_id) == "succeeded"


def test_stopping_the_worker_records_the_event_under_way_and_requeues(lab: Lab) -> None:
    expected, record_id, stop = undisturbed(lab), start(lab), threading.Event()
    worker(lab, at("siblings 0 1", stop.set)).run(stop)
    assert state(lab, record_id) == "pending" and len(stored(lab, record_id)) == 2
    assert worker(lab).run_one() and stored(lab, record_id) == expected


def test_what_was_recorded_before_is_no_progress(lab: Lab) -> None:
    """A job that dies at the same place of a row again and again is failed: its row's first steps do not count."""
    record_id, stop = start(lab), threading.Event()
    worker(lab, at("siblings 0 1", stop.set)).run(stop)
    with lab.database.read() as tx:
        before = len(jobs.history(tx, record_id))
    stop.clear()
    one = worker(lab, at("siblings 0 2", lambda: (_ for _ in ()).throw(KeyboardInterrupt)))
    with pytest.raises(KeyboardInterrupt):
        one.run_one()
    with lab.database.read() as tx:
        kinds = [event.kind for event in jobs.history(tx, record_id)[before:]]
    assert kinds == ["status"], "only that it runs again"


def test_a_worker_whose_lease_ran_out_writes_nothing_more(lab: Lab) -> None:
    expected, record_id = undisturbed(lab), start(lab)
    later = worker(lab, clock=lambda: time.time() + 2 * jobs.LEASE_SECONDS)
    slow = worker(lab, at("siblings 1 0", lambda: later.run_one()), renew_seconds=3600.0)
    assert slow.run_one()
    assert shown(lab, record_id)["job"]["attempt"] == 2 and stored(lab, record_id) == expected


@pytest.mark.parametrize(
    ("base", "error"),
    [
        ({"model": "no-such"}, "the weights of no-such are not on this machine"),
        ({"rewards": {"no-reward": 1.0}}, "the weights of no-reward are not on this machine"),
    ],
)
def test_what_cannot_be_loaded_fails_the_job_with_its_message(lab: Lab, base: dict[str, Any], error: str) -> None:
    record_id = start(lab, base=replace(CONFIG.base, **base))
    worker(lab).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["error"]) == ("failed", error)


def test_elites_by_hand_are_refused(lab: Lab) -> None:
    record_id = start(lab)
    act = at("siblings 0 1", lambda: lab.command(record_id, "elites", {"elites": [0]}))
    worker(lab, act).run_one()
    assert "elites can be chosen while" in shown(lab, record_id)["job"]["refusal"]


# ---- processes


@pytest.fixture
def serve_workers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Supervisor]]:
    """Start what `serve` starts: a supervised interactive worker, which starts the batch lane's itself."""
    monkeypatch.chdir(ROOT)
    started: list[Supervisor] = []

    def free(owner: str) -> None:
        with lab.database.write() as tx:
            jobs.expire(tx, owner)

    def begin(delay: float = 0.0) -> Supervisor:
        monkeypatch.setenv("LAB_TEST_DELAY", str(delay))
        supervisor = Supervisor([*COMMAND, str(lab.settings.data_dir)], free, first_delay=0.05)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield begin
    for supervisor in started:
        supervisor.stop()


def batch_processes(lab: Lab) -> list[int]:
    """The ids of this lab's batch workers, which are at a lower priority than anybody who waits at a page."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--lane" in words and str(lab.settings.data_dir).encode() in words and alive(int(folder.name)):
            found.append(int(folder.name))
    return found


def niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


def test_a_killed_measurement_goes_on_with_what_is_missing(lab: Lab, serve_workers: Callable[..., Any]) -> None:
    expected, record_id = undisturbed(lab), start(lab)
    serve_workers(delay=0.05)
    chance = random.Random(1)
    for _ in range(3):
        seen = len(stored(lab, record_id))
        wait_for(lambda seen=seen: len(stored(lab, record_id)) > seen or state(lab, record_id) == "succeeded")
        time.sleep(chance.uniform(0, 0.05))
        for pid in batch_processes(lab):
            subprocess.run(["kill", "-9", str(pid)], check=False)
    wait_for(lambda: state(lab, record_id) == "succeeded", 120)
    assert stored(lab, record_id) == expected
    assert shown(lab, record_id)["job"]["attempt"] >= 2
    wait_for(lambda: not batch_processes(lab), 30)


def test_a_session_does_not_wait_for_a_measurement(lab: Lab, serve_workers: Callable[..., Any]) -> None:
    record_id = start(lab)
    serve_workers(delay=0.2)
    wait_for(lambda: stored(lab, record_id))
    (pid,) = batch_processes(lab)
    assert niceness(pid) >= 10
    session = sessions.start(lab, num_steps=2, arms=[])
    wait_for(lambda: sessions.shown(lab, session)["state"] == "succeeded")
    assert state(lab, record_id) == "running" and len(stored(lab, record_id)) < EVENTS


def test_ending_the_lab_requeues_the_measurement_and_leaves_no_process(
    lab: Lab, serve_workers: Callable[..., Any]
) -> None:
    record_id = start(lab)
    supervisor = serve_workers(delay=0.2)
    wait_for(lambda: stored(lab, record_id))
    supervisor.stop()
    assert not batch_processes(lab)
    assert state(lab, record_id) == "pending" and 0 < len(stored(lab, record_id)) < EVENTS


def test_when_the_worker_is_killed_its_measurement_does_not_run_on_alone(
    lab: Lab, serve_workers: Callable[..., Any]
) -> None:
    record_id = start(lab)
    supervisor = serve_workers(delay=0.2)
    wait_for(lambda: stored(lab, record_id))
    (pid,) = batch_processes(lab)
    supervisor.child.kill()
    wait_for(lambda: not alive(pid), 30)
    wait_for(lambda: state(lab, record_id) == "succeeded", 90)
