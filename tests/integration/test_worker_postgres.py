"""The worker over PostgreSQL, where reads and writes do not wait for each other as they do on SQLite."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services import Lab
from app.settings import Settings
from tests.contract import postgres_server
from tests.integration.test_worker import at, science, shown, start, undisturbed, worker


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with postgres_server.running() as folder:
        data: Path = tmp_path_factory.mktemp("data")
        opened = Lab(Settings(data, f"postgresql://lab@/postgres?host={folder}", recorded=None))
        yield opened
        opened.close()


def test_pausing_and_going_on_ends_as_if_undisturbed(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    worker(lab, at("iteration 5 1", lambda: lab.command(record_id, "pause"))).run_one()
    assert shown(lab, record_id)["state"] == "paused"
    lab.command(record_id, "continue")
    assert worker(lab).run_one()
    assert science(shown(lab, record_id)) == expected


def test_several_workers_share_a_queue(lab: Lab) -> None:
    records = [start(lab, seed=seed, num_steps=3, arms=[]) for seed in range(9)]
    stop = threading.Event()
    threads = [threading.Thread(target=worker(lab, poll_seconds=0.005).run, args=(stop,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(shown(lab, one)["state"] != "succeeded" for one in records):
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert [(shown(lab, one)["state"], shown(lab, one)["job"]["attempt"]) for one in records] == [("succeeded", 1)] * 9
