"""A stored record computed once more: the same, or where it parts; on the command line, in the worker, on a page."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api
from app.replay_command import replay_here
from app.replay_words import sentences
from app.replaying import queue_replay
from app.services import Lab
from app.worker import Worker
from core.errors import LabError
from core.events import IterationScored
from storage import jobs
from storage.replays import latest_replay, origin_of
from storage.tables import candidate_rewards, origins, siblings, steps
from tests.fakes import fake_explore, fake_toolbox
from tests.integration.handed import filled, open_lab
from tests.integration.test_worker import at, start, worker


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("here") / "data"
    return SimpleNamespace(folder=folder, **filled(folder))


@pytest.fixture
def lab(ids: SimpleNamespace) -> Iterator[Lab]:
    with closing(open_lab(ids.folder)) as opened:
        yield opened


def replayed(lab: Lab, record_id: str, **how: Any) -> tuple[int, dict[str, Any]]:
    out = io.StringIO()
    code = replay_here(lab, record_id, as_json=True, toolbox=how.pop("toolbox", fake_toolbox()), out=out, **how)
    return code, json.loads(out.getvalue())


@pytest.mark.parametrize(("kind", "pieces"), [("session", 18), ("reliability", 12), ("train", 2)])
def test_a_record_of_every_kind_repeats_to_the_bit(ids: SimpleNamespace, lab: Lab, kind: str, pieces: int) -> None:
    code, told = replayed(lab, getattr(ids, kind))
    assert (code, told["verdict"], told["pieces"], told["kind"]) == (0, "identical", pieces, kind)
    assert told["differs"] == {} or kind == "train"  # whose trainer looks for its device later
    assert told["sentences"][0].startswith("Computed once more, it came out the same to the last bit: ")


def test_no_more_is_computed_than_was_asked(ids: SimpleNamespace, lab: Lab) -> None:
    assert replayed(lab, ids.session, limit=2)[1]["pieces"] == 3  # the start and two steps
    assert replayed(lab, ids.reliability, limit=1)[1]["pieces"] == 3
    code, told = replayed(lab, ids.train, limit=3)
    assert told["pieces"] == 4 and "Only the first 3 epochs were computed." in told["sentences"]


def changing(lab: Lab, table: sa.Table, values: dict[str, Any], **where: Any) -> None:
    with lab.database.write() as tx:
        here = [table.c[name] == value for name, value in where.items()]
        assert tx.execute(sa.update(table).where(*here).values(values)).rowcount == 1


def test_where_it_parts_is_told_by_step_iteration_and_candidate(lab: Lab) -> None:
    record_id = start(lab, num_steps=6, window_min=0.6)
    assert worker(lab).run_one()
    place = {"record_id": record_id, "step": 3, "iteration": 1, "candidate": 2}
    changing(lab, candidate_rewards, {"value": 0.125}, **place, name="shapes-verifier")
    code, told = replayed(lab, record_id)
    assert code == 1 and told["parted"]["place"] == {"what": "iteration", "step": 3, "iteration": 1}
    assert (told["parted"]["index"], told["parted"]["stored"]) == (2, 0.125)
    first = told["sentences"][0]
    assert first.startswith(
        "Computed once more, it parts at step 4, iteration 2, candidate 3: reward shapes-verifier was"
    )


def test_rounding_is_not_a_parting_unless_it_is_too_much(lab: Lab) -> None:
    record_id = start(lab, num_steps=4)
    assert worker(lab).run_one()
    with lab.database.read() as tx:
        name = tx.scalar(sa.select(steps.c.latents).where(steps.c.record_id == record_id, steps.c.step == 1))
    latents = lab.artifacts.get_tensor(name)
    moved = latents.copy()
    moved.flat[5] += np.float32(1e-4) * np.abs(latents).max()
    changing(lab, steps, {"latents": lab.artifacts.put_tensor(moved)}, record_id=record_id, step=1)
    code, told = replayed(lab, record_id)
    assert (code, told["verdict"]) == (0, "close")
    assert told["largest"]["latents"] == pytest.approx(1e-4, rel=0.01)
    assert "the same but for rounding" in told["sentences"][0] and "first at step 2 (latents)" in told["sentences"][0]
    assert replayed(lab, record_id, tolerance=1e-5)[1]["verdict"] == "parted"


def test_elites_that_a_person_chose_are_followed_and_not_called_a_difference_of_what_comes_after(lab: Lab) -> None:
    record_id = start(lab, num_steps=6, window_min=0.6)

    def choose() -> None:
        lab.command(record_id, "elites", {"elites": [3, 4]}, 3, 0)

    assert worker(lab, at("iteration 3 1", choose)).run_one()
    sent: list[Any] = []

    def watched(*asked: Any, **more: Any) -> Any:
        events, answer = fake_explore(*asked, **more), None
        while True:
            try:
                event = events.send(answer)
            except StopIteration:
                return
            answer = yield event
            if isinstance(event, IterationScored):
                sent.append((event.elites, answer))

    code, told = replayed(lab, record_id, toolbox=replace(fake_toolbox(), explore=watched))
    assert any(own != used for own, used in sent) == (told["verdict"] == "parted")
    assert set(told["largest"]) <= {"elites"}, "what came after is the same"


def test_a_measurement_parts_at_a_sibling(ids: SimpleNamespace, lab: Lab) -> None:
    with lab.database.read() as tx:
        here = (siblings.c.record_id == ids.reliability, siblings.c.row == 2, siblings.c.step == 1)
        data = tx.scalar(sa.select(siblings.c.data).where(*here))
    other = json.loads(json.dumps(data))
    other["truth"]["shapes-clip"][4] += 1.0
    changing(lab, siblings, {"data": other}, record_id=ids.reliability, row=2, step=1)
    try:
        told = replayed(lab, ids.reliability)[1]
    finally:
        changing(lab, siblings, {"data": data}, record_id=ids.reliability, row=2, step=1)
    assert "it parts in row 3, step 2, sibling 5: truth, shapes-clip was" in told["sentences"][0]


def test_what_it_was_made_on_is_told_beside_what_it_is_computed_on(lab: Lab) -> None:
    record_id = start(lab, num_steps=3)
    assert worker(lab).run_one()
    with lab.database.read() as tx:
        (then,) = origin_of(tx, record_id)
    older = then | {"packages": then["packages"] | {"torch": "1.0"}, "threads": 64}
    changing(lab, origins, {"environments": [older]}, record_id=record_id)
    told = replayed(lab, record_id)[1]
    assert told["differs"] == {"threads": [64, then["threads"]], "torch": ["1.0", then["packages"]["torch"]]}
    assert told["sentences"][1].startswith("What differs from then: threads 64 then, ")
    with lab.database.write() as tx:
        tx.execute(sa.delete(origins).where(origins.c.record_id == record_id))
    assert "was not noted then" in replayed(lab, record_id)[1]["sentences"][1]


def test_another_batch_size_is_asked_for_and_said(ids: SimpleNamespace, lab: Lab) -> None:
    told = replayed(lab, ids.session, batch_size=2, threads=1)[1]
    assert told["sentences"][-1] == "It was asked for with another setting: batch size 2, threads 1."
    with pytest.raises(LabError, match="expected no other batch size"):
        replayed(lab, ids.train, batch_size=2)


def test_a_session_that_stopped_is_compared_as_far_as_it_came(lab: Lab) -> None:
    record_id = start(lab, num_steps=6, window_min=0.6)
    assert worker(lab, at("step 3", lambda: lab.command(record_id, "cancel"))).run_one()
    code, told = replayed(lab, record_id)
    assert (code, told["verdict"]) == (0, "identical") and 0 < told["pieces"] < 18
    never = start(lab)
    lab.command(never, "cancel")
    code, told = replayed(lab, never)
    assert (code, told["verdict"]) == (1, "nothing")
    assert told["sentences"][0] == "Nothing of it is stored that could be compared."


def test_the_worker_checks_what_a_page_asks_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.replaying.check_usable", lambda tx, record_id: None)  # no registry knows the fake model
    app = FastAPI()
    api.mount(app, lab)
    client = TestClient(app, raise_server_exceptions=False)
    record_id = start(lab, num_steps=4)
    path = f"/lab/api/sessions/{record_id}/replay"
    assert "has not ended" in client.post(path).json()["detail"]
    assert worker(lab).run_one()
    assert client.get(path).json() == {"replay": None}
    assert client.post(path).json() == {"queued": 1}
    assert client.post(path).status_code == 422, "one at a time"
    assert client.get(path).json()["replay"]["status"] == "pending"
    before = lab.session_view(record_id)["seq"]
    assert worker(lab).run_one()
    replay = client.get(path).json()["replay"]
    assert (replay["status"], replay["verdict"], replay["number"]) == ("succeeded", "identical", 1)
    view = lab.session_view(record_id, before)
    assert view["replay"] == replay and view["state"] == "succeeded"
    assert client.get("/lab/api/sessions/nobody/replay").status_code == 404


def replayer(lab: Lab, before: Callable[[str], None]) -> Worker:
    """A worker that calls `before` with the name of each event that is computed once more."""
    return Worker(lab.database, lab.artifacts, fake_toolbox(before))


def test_a_check_is_cancelled_and_goes_back_to_the_queue(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.replaying.check_usable", lambda tx, record_id: None)
    record_id = start(lab, num_steps=4)
    assert worker(lab).run_one()
    stop = threading.Event()
    with lab.database.write() as tx:
        queue_replay(tx, record_id)
    assert replayer(lab, at("step 2", stop.set)).run_one(stop)
    with lab.database.read() as tx:
        assert latest_replay(tx, record_id)["status"] == "pending"
        job = next(one for one in lab.queue()["jobs"] if one["kind"] == jobs.REPLAY)
    assert replayer(lab, at("step 2", lambda: lab.cancel_job(job["job_id"]))).run_one()
    with lab.database.read() as tx:
        told = latest_replay(tx, record_id)
    assert (told["status"], told["result"]) == ("cancelled", None)
    assert lab.session_view(record_id)["state"] == "succeeded"


def test_sentences_say_where_whatever_the_place() -> None:
    base = {"verdict": "parted", "differs": {}, "limit": None, "changed_here": {}, "pieces": 1, "numbers": 1}
    found = {"name": "x", "index": None, "stored": None, "again": [1, 2], "deviation": None}
    for place, words in (
        ({"what": "start"}, "at the start"),
        ({"what": "arm", "arm": "ode"}, "in the outcome of ode"),
        ({"what": "step", "step": -1}, "at the starting noise"),
        ({"what": "epoch", "epoch": 2}, "in epoch 2"),
    ):
        told = sentences(base | {"parted": found | {"place": place}})[0]
        assert told == f"Computed once more, it parts {words}: x was no number and is [1, 2]."


def test_a_record_that_is_not_there_is_told(lab: Lab) -> None:
    with pytest.raises(LabError, match="there is no record 'zzz'"):
        replayed(lab, "zzz")


def test_the_data_folder_is_left_as_it_was(ids: SimpleNamespace, lab: Lab) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(ids.folder).rglob("*.safetensors")}
    replayed(lab, ids.session)
    assert {path: path.stat().st_mtime_ns for path in Path(ids.folder).rglob("*.safetensors")} == before
