"""Sweeps over the fake engine: run as one job of ordinary sessions, obeyed, killed, gone on with, and told."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api
from app.coordinates import coordinates
from app.services import Lab
from app.settings import Settings
from app.sweep_config import hash_of, read_sweep, to_plain
from app.sweeps import Sweeps
from core.errors import LabError
from storage import jobs, records, sweeps
from tests.fakes import fake_reward, fake_toolbox
from tests.integration import test_worker as worked
from tests.integration.test_worker import at

BASE = {
    "model": "fake",
    "num_steps": 3,
    "window_min": 0.5,
    "search": {"num_iterations": 1},
    "rewards": {"shapes-clip": 1.0},
    "arms": ["no_search"],
}
BODY: dict[str, Any] = {
    "axes": [{"setting": "search.num_candidates", "values": [3, 4]}],
    "prompts": ["a photo of a red circle", "a photo of a blue star"],
    "seeds": 1,
    "base": BASE,
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def start(lab: Lab, **changes: Any) -> str:
    """Queue a sweep of the fake model, which no registry knows."""
    config = read_sweep(BODY | changes)
    with lab.database.write() as tx:
        plain = to_plain(config)
        record_id = sweeps.create(tx, plain, hash_of(config), name="A sweep", preset="smart-grpo")
        jobs.enqueue(tx, kind=jobs.SWEEP, record_id=record_id, lane="batch")
    return record_id


def worker(lab: Lab, before: Callable[[str], None] = lambda name: None, **options: Any) -> Any:
    return worked.Worker(lab.database, lab.artifacts, fake_toolbox(before, fake_reward), lane="batch", **options)


def shown(lab: Lab, record_id: str) -> dict[str, Any]:
    view = Sweeps(lab).view(record_id)
    assert view is not None
    return view


def states(lab: Lab, record_id: str) -> list[str]:
    return [run["state"] for run in shown(lab, record_id)["runs"]]


def sessions_of(lab: Lab) -> list[dict[str, Any]]:
    return lab.recent(kind="session")


def test_a_sweep_runs_its_sessions_one_after_another_as_one_job(lab: Lab) -> None:
    record_id = start(lab)
    assert [job["kind"] for job in lab.queue()["jobs"]] == ["sweep"]
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["progress"], view["name"]) == ("succeeded", 1.0, "A sweep")
    assert states(lab, record_id) == ["succeeded"] * 4
    assert {row["parent"] for row in sessions_of(lab)} == {record_id} and len(sessions_of(lab)) == 4
    gain = view["measures"][0]
    assert gain["name"] == "gain:no_search" and [cell["runs"] for cell in gain["cells"]] == [2, 2]
    by_hand = [row["headline"]["search"] - row["headline"]["no_search"] for row in sessions_of(lab)]
    assert sum(gain["values"]) == pytest.approx(sum(by_hand))
    listed = lab.records(kind="sweep")["records"]
    assert [(row["headline"], row["state"]) for row in listed] == [({"done": 4, "runs": 4}, "succeeded")]


def test_what_ran_before_is_not_run_again(lab: Lab) -> None:
    first = start(lab, prompts=BODY["prompts"][:1])
    assert worker(lab).run_one()
    again = start(lab)
    assert worker(lab).run_one()
    assert len(sessions_of(lab)) == 4
    runs = shown(lab, again)["runs"]
    assert [run["own"] for run in runs] == [False, False, True, True]
    assert {run["record"] for run in shown(lab, first)["runs"]} == {run["record"] for run in runs[:2]}


def test_a_sweep_is_paused_and_continued_within_a_session(lab: Lab) -> None:
    record_id = start(lab)
    pause = at("step 2", lambda: lab.command(record_id, "pause"))
    assert worker(lab, pause).run_one()
    assert shown(lab, record_id)["state"] == "paused" and states(lab, record_id)[0] == "paused"
    lab.command(record_id, "continue")
    assert states(lab, record_id)[0] == "pending"
    assert worker(lab).run_one()
    assert states(lab, record_id) == ["succeeded"] * 4 and len(sessions_of(lab)) == 4


def test_a_session_that_was_paused_ends_as_one_that_was_not(lab: Lab, tmp_path: Path) -> None:
    record_id = start(lab)
    assert worker(lab, at("step 2", lambda: lab.command(record_id, "pause"))).run_one()
    lab.command(record_id, "continue")
    assert worker(lab).run_one()
    other = Lab(Settings(tmp_path / "other", recorded=None))
    try:
        straight = start(other)
        assert worker(other).run_one()
        values = [shown(one, sweep)["measures"][0]["values"] for one, sweep in ((lab, record_id), (other, straight))]
        assert values[0] == values[1]
    finally:
        other.close()


def test_a_cancelled_sweep_keeps_what_it_has_and_runs_the_rest_when_asked(lab: Lab) -> None:
    record_id = start(lab)

    def before(name: str) -> None:
        if name == "finished" and not lab.records(kind="session", state="succeeded")["records"]:
            lab.command(record_id, "cancel")

    assert worker(lab, before).run_one()
    assert shown(lab, record_id)["state"] == "cancelled"
    assert states(lab, record_id) == ["succeeded"] + ["missing"] * 3
    Sweeps(lab).command(record_id, "resume")
    with pytest.raises(LabError, match="already"):
        Sweeps(lab).resume(record_id)
    assert worker(lab).run_one()
    assert states(lab, record_id) == ["succeeded"] * 4 and len(sessions_of(lab)) == 4


def test_cancelling_within_a_session_ends_that_session_too(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab, at("step 2", lambda: lab.command(record_id, "cancel"))).run_one()
    assert states(lab, record_id) == ["cancelled"] + ["missing"] * 3


def test_a_killed_worker_is_gone_on_from_where_it_was(lab: Lab) -> None:
    record_id = start(lab)

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    seen: list[str] = []

    def before(name: str) -> None:
        seen.append(name)
        if seen.count("step 1") == 3:
            kill()

    with pytest.raises(Killed):
        worker(lab, before, owner="first").run_one()
    assert states(lab, record_id)[:3] == ["succeeded", "succeeded", "running"]
    with lab.database.write() as tx:
        jobs.expire(tx, "first")
    events: list[str] = []
    assert worker(lab, events.append, owner="second").run_one()
    assert states(lab, record_id) == ["succeeded"] * 4 and len(sessions_of(lab)) == 4
    assert events[0] == "step 1", "the third session goes on, it does not begin again"


def test_a_worker_that_is_to_stop_gives_the_sweep_back(lab: Lab) -> None:
    record_id, stop = start(lab), threading.Event()
    assert worker(lab, at("step 1", stop.set)).run_one(stop)
    assert shown(lab, record_id)["state"] == "pending" and states(lab, record_id)[0] == "pending"


def test_one_failing_cell_leaves_the_others(lab: Lab) -> None:
    record_id = start(lab, axes=[{"setting": "model", "values": ["fake", "no-weights"]}])
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "succeeded" and states(lab, record_id) == ["succeeded", "failed"] * 2
    assert "weights of no-weights" in view["runs"][1]["error"]
    assert [cell and cell["runs"] for cell in view["measures"][0]["cells"]] == [2, None]


def test_a_sweep_in_which_nothing_works_ends_soon_and_says_why(lab: Lab) -> None:
    record_id = start(lab, base=BASE | {"model": "no-weights"})
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "failed" and "weights of no-weights" in view["error"]
    assert states(lab, record_id).count("failed") == 3


def test_a_session_in_the_trash_is_missing(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab).run_one()
    gone = shown(lab, record_id)["runs"][0]["record"]
    lab.trash_record(gone)
    assert states(lab, record_id) == ["missing", "succeeded", "succeeded", "succeeded"]
    lab.trash_record(record_id)
    with lab.database.read() as tx:
        assert records.get_record(tx, record_id)["deleted"]


def test_what_is_asked_is_told_over_http(lab: Lab) -> None:
    app = FastAPI()
    api.mount(app, lab)
    client = TestClient(app)
    real = BODY | {"base": {"num_steps": 4, "arms": ["no_search"]}}
    told = client.post("/lab/api/sweep/estimate", json=real).json()
    assert told["runs"] == 4 and told["known"] == 0 and told["nfe"] > 0 and told["seconds"] is None
    refused = client.post("/lab/api/sweep", json=real | {"axes": [{"setting": "num_steps", "values": [1]}]})
    assert refused.status_code == 422 and "from 2 to 100" in refused.json()["problems"]["num_steps"]
    unusable = client.post("/lab/api/sweep", json=BODY)
    assert unusable.status_code == 422 and "model" in unusable.json()["problems"]
    record_id = client.post("/lab/api/sweep", json=real).json()["id"]
    view = client.get(f"/lab/api/sweep/{record_id}").json()
    assert (view["state"], view["name"], view["axes"][0]["label"]) == ("pending", "Candidates (K)", "Candidates (K)")
    assert client.get(f"/lab/api/sweep/{record_id}", params={"after": view["seq"]}).status_code == 204
    assert client.get("/lab/api/sweep/none").status_code == 404
    assert client.post(f"/lab/api/sweep/{record_id}/command", json={"kind": "explode"}).status_code == 422
    assert client.post(f"/lab/api/sweep/{record_id}/command", json={"kind": "cancel"}).status_code == 200
    assert client.get(f"/lab/api/sweep/{record_id}").json()["state"] == "cancelled"
    table = client.get(f"/lab/api/sweep/{record_id}/table.csv").text.splitlines()
    assert len(table) == 5 and table[0].startswith(
        "search.num_candidates,prompt,seed,session,state,error,gain:no_search"
    )


def test_records_differ_on_axes(lab: Lab) -> None:
    record_id = start(lab, axes=[*BODY["axes"], {"setting": "step_kind", "values": ["sde", "cps"]}])
    assert worker(lab).run_one()
    found = coordinates(lab.database, {"sweep": record_id})
    axes = {axis["name"]: axis for axis in found["axes"]}
    assert len(found["records"]) == 8 and found["left_out"] == 0
    assert {"num_candidates", "step_kind", "prompt", "reward", "gain"} <= axes.keys()
    assert axes["step_kind"]["words"] == ["cps", "sde"] and set(axes["step_kind"]["values"]) == {0, 1}
    assert axes["num_candidates"]["words"] is None and set(axes["num_candidates"]["values"]) == {3, 4}
    assert "guidance_scale" not in axes, "it is the same for all"
    narrowed = coordinates(lab.database, {"text": "blue star"})
    assert len(narrowed["records"]) == 4 and "prompt" not in {axis["name"] for axis in narrowed["axes"]}
    assert coordinates(lab.database, {"text": "nothing like it"})["records"] == []
    with pytest.raises(LabError, match="expected sweep or some of"):
        coordinates(lab.database, {"colour": "red"})
