"""Finish from here through lab and worker: before and beside searches, resumed, cancelled, for any kind of session."""

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import select

from app import api, finishing, trained
from app.pictures import METADATA_KEY
from app.recorder import Recorder, from_numpy
from app.search import search
from app.services import Lab
from app.settings import Settings
from app.worker import Worker
from core.config import to_dict
from core.errors import LabError, NotFound
from core.events import INITIAL, IterationScored, StepCommitted
from core.explore import explore
from core.finish import finish
from storage import jobs, sessions, tables
from tests.fakes import fake_toolbox
from tests.integration.test_worker import at, science, shown, start, undisturbed, worker
from tests.tiny import sd3_model
from tests.unit.test_explore import CONFIG, REWARDS, same


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def everything_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained.registry, "usable", lambda name: (True, ""))
    monkeypatch.setattr(finishing.rewards, "usable", lambda name: (True, ""))


def finished(lab: Lab, record_id: str) -> list[tuple[int, int, int]]:
    """(step, iteration, candidate) in the order in which they were recorded."""
    table = tables.finishes
    with lab.database.read() as tx:
        rows = tx.execute(select(table).where(table.c.record_id == record_id).order_by(table.c.seq)).all()
    return [(row.step, row.iteration, row.candidate) for row in rows]


def pictures(lab: Lab, record_id: str) -> dict[tuple[int, int, int], tuple[str, float]]:
    table = tables.finishes
    with lab.database.read() as tx:
        rows = tx.execute(select(table).where(table.c.record_id == record_id)).all()
    return {(row.step, row.iteration, row.candidate): (row.image, row.total) for row in rows}


def test_candidates_are_rolled_out_and_kept_without_changing_their_session(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    before = shown(lab, record_id)
    assert lab.finish(record_id, 4, 2, [3, 0]) == 2
    assert worker(lab).run_one()
    assert finished(lab, record_id) == [(4, 2, 3), (4, 2, 0)]
    after = shown(lab, record_id)
    assert science(after) == science(before) and after["state"] == "succeeded"
    assert after["job"] == before["job"] and after["seq"] > before["seq"]
    name, total = pictures(lab, record_id)[4, 2, 3]
    with Image.open(lab.artifact_path(name)) as image:
        carried = json.loads(image.text[METADATA_KEY])
    assert carried == {"step": 4, "iteration": 2, "candidate": 3, "config": before["config"]}
    assert 0 < total < 1.1


def test_what_is_finished_or_queued_is_left_out_quietly(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    assert lab.finish(record_id, 4, 2, [1, 1, 2]) == 2
    assert lab.finish(record_id, 4, 2, [2, 1]) == 0
    assert lab.finish(record_id, 4, 2, [2, 4]) == 1
    assert lab.finish(record_id, 4, 3, [2]) == 1
    one = worker(lab)
    while one.run_one():
        pass
    assert finished(lab, record_id) == [(4, 2, 1), (4, 2, 2), (4, 2, 4), (4, 3, 2)]
    assert lab.finish(record_id, 4, 2, [4, 1, 2]) == 0 and not one.run_one()


def test_a_page_asks_for_it_over_http(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    app = FastAPI()
    api.mount(app, lab)
    client = TestClient(app)

    def ask(record: str, body: dict[str, Any]) -> tuple[int, Any]:
        answer = client.post(f"/lab/api/sessions/{record}/finish", json=body)
        return answer.status_code, answer.json()

    wanted = {"step": 4, "iteration": 2, "candidates": [1, 3]}
    assert ask(record_id, wanted) == (200, {"queued": 2})
    assert shown(lab, record_id)["finishing"] == [wanted]
    assert ask(record_id, wanted) == (200, {"queued": 0})
    worker(lab).run_one()
    view = shown(lab, record_id)
    assert [one["candidate"] for one in view["finishes"]] == [1, 3] and view["finishing"] == []
    assert ask(record_id, {"step": 4})[0] == 422
    assert ask(record_id, wanted | {"iteration": 77}) == (404, {"detail": "this session has no iteration 78 at step 5"})
    assert ask("nosuchrecord", wanted)[0] == 404


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        ((4, 2, [5]), LabError, "expected candidates from 0 to 4, got"),
        ((4, 2, [True]), LabError, "expected candidates from 0 to 4, got"),
        ((4, 2, ["1"]), LabError, "expected candidates from 0 to 4, got"),
        ((4, 2, []), LabError, "expected a list of at least one candidate"),
        ((4, 2, None), LabError, "expected a list of at least one candidate"),
        ((4, 2, [0] * 100_000), LabError, "expected a list of at least one candidate"),
        (("4", 2, [0]), LabError, "expected to be whole numbers"),
        ((4, None, [0]), LabError, "expected to be whole numbers"),
        ((0, 0, [0]), NotFound, "no iteration 1 at step 1"),
        ((4, 5, [0]), NotFound, "no iteration 6 at step 5"),
        ((4, -1, [0]), NotFound, "no iteration 0"),
        ((INITIAL, 0, [0]), NotFound, "no iteration 1 at the starting noise"),
        ((10**30, 0, [0]), LabError, "expected to be whole numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(lab: Lab, asked: Any, error: type, sentence: str) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    with pytest.raises(error, match=sentence):
        lab.finish(record_id, *asked)
    with pytest.raises(NotFound):
        lab.finish("nosuchrecord", 4, 2, [0])
    assert not worker(lab).run_one()


def test_a_model_that_is_not_here_is_told_when_it_is_asked_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    monkeypatch.setattr(trained.registry, "usable", lambda name: (False, f"{name} has no weights here"))
    with pytest.raises(LabError, match="fake has no weights here"):
        lab.finish(record_id, 4, 2, [0])


def test_it_is_done_before_searches_that_wait(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    other = start(lab, seed=9)
    lab.finish(record_id, 5, 0, [0])
    one = worker(lab)
    assert one.run_one()
    assert finished(lab, record_id) == [(5, 0, 0)] and shown(lab, other)["state"] == "pending"


def test_a_running_search_lets_it_through_and_goes_on_as_if_nothing_had_been(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id, threads = start(lab), []
    seen: list[str] = []

    def ask() -> None:
        assert lab.finish(record_id, 4, 1, [0, 4]) == 2

    def before(name: str) -> None:
        seen.append(name)
        if name == "iteration 4 3":
            ask()
        if name.startswith("finish"):
            view = shown(lab, record_id)
            assert view["state"] == "running" and view["job"]["status"] == "running"

    one = worker(lab, before)
    object.__setattr__(one.toolbox, "set_threads", threads.append)
    assert one.run_one()
    place = seen.index("iteration 4 3")
    assert seen[place + 1 : place + 4] == ["finish 4 1 0", "finish 4 1 4", "iteration 4 4"]
    view = shown(lab, record_id)
    assert science(view) == expected and view["state"] == "succeeded" and view["job"]["attempt"] == 1
    assert threads == [1, 1, 1], "set for the search, the roll-out, and the search again"


def test_one_for_another_model_waits_until_the_running_search_is_done(lab: Lab) -> None:
    other = start(lab, model="fake-2")
    worker(lab).run_one()
    record_id, seen = start(lab), []

    def before(name: str) -> None:
        seen.append(name)
        if name == "iteration 4 0":
            lab.finish(other, 4, 0, [1])

    one = worker(lab, before)
    assert one.run_one()
    assert not finished(lab, other) and shown(lab, record_id)["state"] == "succeeded"
    assert one.run_one() and finished(lab, other) == [(4, 0, 1)]


def test_its_failure_is_its_own(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)

    def before(name: str) -> None:
        if name == "iteration 4 3":
            lab.finish(record_id, 4, 1, [0])
        if name.startswith("finish"):
            raise ZeroDivisionError("no")

    assert worker(lab, before).run_one()
    assert science(shown(lab, record_id)) == expected
    with lab.database.read() as tx:
        job = tx.execute(select(tables.jobs).where(tables.jobs.c.kind == jobs.FINISH)).one()
    assert job.status == "failed" and "ZeroDivisionError" in job.error
    assert lab.finish(record_id, 4, 1, [0]) == 1, "it may be asked for again"


def test_a_killed_worker_leaves_what_it_had_and_the_next_does_the_rest(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    lab.finish(record_id, 4, 2, [0, 1, 2, 3])
    undisturbed_pictures = {}

    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == "finish 4 2 2":
            raise Killed

    first = worker(lab, die, owner="first")
    with pytest.raises(Killed):
        first.run_one()
    assert finished(lab, record_id) == [(4, 2, 0), (4, 2, 1)]
    with lab.database.write() as tx:
        jobs.expire(tx, "first")
    undisturbed_pictures = pictures(lab, record_id)
    seen: list[str] = []
    assert worker(lab, seen.append).run_one()
    assert seen == ["finish 4 2 2", "finish 4 2 3"]
    assert len(finished(lab, record_id)) == 4
    assert pictures(lab, record_id).items() >= undisturbed_pictures.items()


def test_stopping_the_worker_gives_the_rest_back_to_the_queue(lab: Lab) -> None:
    record_id, stop = start(lab), threading.Event()
    worker(lab).run_one()
    lab.finish(record_id, 4, 2, [0, 1, 2])
    worker(lab, at("finish 4 2 1", stop.set)).run(stop)
    assert finished(lab, record_id) == [(4, 2, 0), (4, 2, 1)]
    assert worker(lab).run_one() and len(finished(lab, record_id)) == 3


def test_it_can_be_cancelled_between_two_candidates(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    lab.finish(record_id, 4, 2, [0, 1, 2])

    def cancel() -> None:
        with lab.database.write() as tx:
            job_id = tx.scalar(select(tables.jobs.c.id).where(tables.jobs.c.kind == jobs.FINISH))
            jobs.send_command(tx, job_id, "pause")
            jobs.send_command(tx, job_id, "cancel")

    worker(lab, at("finish 4 2 1", cancel)).run_one()
    assert finished(lab, record_id) == [(4, 2, 0), (4, 2, 1)]
    view = shown(lab, record_id)
    assert view["state"] == "succeeded" and not worker(lab).run_one()


def test_cancelled_sessions_and_recordings_can_be_finished_too(lab: Lab, tmp_path: Path, monkeypatch: Any) -> None:
    cancelled = start(lab)
    worker(lab, at("iteration 4 2", lambda: lab.command(cancelled, "cancel"))).run_one()
    assert lab.finish(cancelled, 4, 1, [2]) == 1 and worker(lab).run_one()
    assert finished(lab, cancelled) == [(4, 1, 2)] and shown(lab, cancelled)["state"] == "cancelled"

    folder = tmp_path / "recording"
    config = to_dict(sessions_config(lab, cancelled))
    monkeypatch.setattr("app.services.models.usable", lambda name: (True, ""))
    search(lab, config, as_json=True, toolbox=fake_toolbox(), keep_as=folder, out=io.StringIO())
    fresh = Lab(Settings(tmp_path / "fresh", recorded=folder))
    try:
        record_id = fresh.default_record()
        assert fresh.finish(record_id, 4, 1, [2]) == 1 and worker(fresh).run_one()
        assert pictures(fresh, record_id)[4, 1, 2][1] == pictures(lab, cancelled)[4, 1, 2][1]
        assert shown(fresh, record_id)["job"] is None and shown(fresh, record_id)["state"] == "succeeded"
    finally:
        fresh.close()


def sessions_config(lab: Lab, record_id: str) -> Any:
    with lab.database.read() as tx:
        return sessions.get_config(tx, record_id)


# The real engine, over a tiny pipeline.


def tiny_worker(lab: Lab, after: Any = lambda event: None) -> Worker:
    """`after` is called with each event before the worker records it."""

    def watched(*rest: Any, **options: Any) -> Any:
        engine, sent = explore(*rest, **options), None
        while True:
            try:
                event = engine.send(sent)
            except StopIteration:
                return
            after(event)
            sent = yield event

    tools = replace(
        fake_toolbox(),
        explore=watched,
        finish=finish,
        load_model=lambda name: sd3_model(),
        load_reward=lambda name: REWARDS[name],
        to_tensor=from_numpy,
    )
    return Worker(lab.database, lab.artifacts, tools)


def tiny_session(lab: Lab) -> str:
    config = replace(CONFIG, search_initial=True, arms=("ode",))
    with lab.database.write() as tx:
        record_id = sessions.create(tx, config)
        jobs.enqueue(tx, kind="explore", record_id=record_id)
    return record_id


def test_a_session_that_searches_x_1_pauses_and_resumes_anywhere_bit_identically(lab: Lab) -> None:
    events: list[Any] = []
    whole = tiny_session(lab)
    tiny_worker(lab, events.append).run_one()
    expected = science(shown(lab, whole))
    assert [row["step"] for row in expected["steps"]] == [INITIAL, 0, 1, 2, 3]
    assert [(row["step"], row["iteration"]) for row in expected["iterations"]][:2] == [(INITIAL, 0), (INITIAL, 1)]
    stepped = tiny_session(lab)
    lab.command(stepped, "pause")
    again: list[Any] = []
    for _ in range(30):
        lab.command(stepped, "step")
        tiny_worker(lab, again.append).run_one()
        if shown(lab, stepped)["state"] == "succeeded":
            break
    assert science(shown(lab, stepped)) == expected
    kinds = (IterationScored, StepCommitted)
    for one, other in zip(
        [e for e in events if isinstance(e, kinds)], [e for e in again if isinstance(e, kinds)], strict=True
    ):
        assert same(one, other)


def test_the_real_engine_finishes_what_the_session_tried(lab: Lab) -> None:
    """Beside the running session and after it, with elites a person chose: the same pictures, and the same session."""
    undisturbed_session = tiny_session(lab)
    tiny_worker(lab).run_one()
    record_id, asked = tiny_session(lab), []

    def ask(event: Any) -> None:
        if isinstance(event, StepCommitted) and event.step == 1 and not asked:
            asked.append(lab.finish(record_id, INITIAL, 1, [0, 3]) + lab.finish(record_id, 1, 1, [2]))

    tiny_worker(lab, ask).run_one()
    assert asked == [3] and finished(lab, record_id) == [(INITIAL, 1, 0), (INITIAL, 1, 3), (1, 1, 2)]
    assert science(shown(lab, record_id)) == science(shown(lab, undisturbed_session))
    lab.finish(undisturbed_session, INITIAL, 1, [0, 3])
    lab.finish(undisturbed_session, 1, 1, [2])
    one = tiny_worker(lab)
    while one.run_one():
        pass
    assert pictures(lab, record_id) == pictures(lab, undisturbed_session)


def test_the_stored_branch_is_where_the_candidates_left(lab: Lab) -> None:
    events: list[Any] = []
    record_id = tiny_session(lab)
    tiny_worker(lab, events.append).run_one()
    committed = {event.step: event.latents for event in events if isinstance(event, StepCommitted)}
    recorder = Recorder(lab.database, lab.artifacts, record_id)
    for step in (1, 2):
        branch = recorder.branch(step, 1)
        assert torch.equal(branch.latents, committed[step - 1])
        scored = [e for e in events if isinstance(e, IterationScored) and e.step == step]
        assert branch.earlier[0].total == scored[0].total and branch.earlier[0].elites == scored[0].elites
    assert recorder.branch(INITIAL, 1).latents is None
