"""Sweeps of fine-tunes over the fake trainer: one job of ordinary runs, obeyed at checkpoints, killed, gone on with."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api
from app.coordinates import coordinates
from app.handing.write import write_bundle
from app.services import Lab
from app.settings import Settings
from app.sweep_config import hash_of, read_sweep, to_plain
from app.sweeps import Sweeps
from core.train_config import from_dict
from storage import jobs, runs, sessions, sweeps
from tests.fakes import fake_toolbox
from tests.integration import test_worker as worked
from tests.integration.test_sweeping import shown, states
from tests.integration.test_worker import at

BASE = {"model": "fake", "epochs": 4, "eval_every": 0, "sample_every": 0, "checkpoint_every": 2, "threads": 1}
BODY: dict[str, Any] = {
    "of": "train",
    "axes": [{"setting": "learning_rate", "values": ["3e-4", "1e-3"]}],
    "seeds": 2,
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
        record_id = sweeps.create(tx, to_plain(config), hash_of(config), name="A sweep", preset="flow-grpo")
        jobs.enqueue(tx, kind=jobs.SWEEP, record_id=record_id, lane="batch")
    return record_id


def alone(lab: Lab, **changes: Any) -> str:
    """Train one of its runs as page Train would."""
    with lab.database.write() as tx:
        record_id = runs.create(tx, from_dict(BASE | {"learning_rate": 3e-4} | changes))
        jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")
    assert worker(lab).run_one()
    return record_id


def worker(lab: Lab, before: Callable[[str], None] = lambda name: None, **options: Any) -> Any:
    return worked.Worker(lab.database, lab.artifacts, fake_toolbox(before), lane="batch", **options)


def gains(lab: Lab, record_id: str) -> list[float | None]:
    (found,) = (one["values"] for one in shown(lab, record_id)["measures"] if one["name"] == "gain:heldout")
    return list(found)


def tuned(lab: Lab) -> list[dict[str, Any]]:
    return lab.recent(99, "train")


def test_a_sweep_trains_its_runs_one_after_another_as_one_job(lab: Lab) -> None:
    record_id = start(lab)
    assert [job["kind"] for job in lab.queue()["jobs"]] == ["sweep"]
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["progress"], view["of"], view["prompts"]) == ("succeeded", 1.0, "train", [])
    assert states(lab, record_id) == ["succeeded"] * 4
    assert {row["parent"] for row in tuned(lab)} == {record_id} and len(tuned(lab)) == 4
    names = [one["name"] for one in view["measures"]]
    assert names[:3] == ["gain:heldout", "gain:verifier", "gain:shapes-verifier"] and names[-2:] == ["nfe", "seconds"]
    first = view["measures"][0]
    by_record = {row["id"]: row["headline"]["heldout_ema"] for row in tuned(lab)}
    by_hand = [by_record[run["record"]][1] - by_record[run["record"]][0] for run in view["runs"]]
    assert first["values"] == pytest.approx(by_hand) and [cell["runs"] for cell in first["cells"]] == [2, 2]
    assert first["cells"][0]["over"] == "seeds" and first["cells"][0]["low"] < first["cells"][0]["mean"]
    listed = lab.records(kind="sweep")["records"]
    assert [(row["headline"], row["prompt"], row["model"]) for row in listed] == [
        ({"done": 4, "runs": 4}, "shapes-train", "fake")
    ]


def test_what_was_trained_elsewhere_is_not_trained_again_if_it_was_judged_alike(lab: Lab) -> None:
    same, otherwise = alone(lab), alone(lab, seed=1, eval_steps=9)
    record_id = start(lab)
    assert worker(lab).run_one()
    found = [(run["record"], run["own"]) for run in shown(lab, record_id)["runs"]]
    assert found[0] == (same, False) and [own for _, own in found[1:]] == [True] * 3
    assert otherwise not in [record for record, _ in found] and len(tuned(lab)) == 2 + 3


def test_cells_that_are_the_same_fine_tune_are_trained_once(lab: Lab) -> None:
    """Nothing is searched, so that its share means nothing."""
    axes = [{"setting": "searched_fraction", "values": [0.5, 1]}]
    record_id = start(lab, axes=axes)
    assert worker(lab).run_one()
    assert states(lab, record_id) == ["succeeded"] * 4 and len(tuned(lab)) == 2


def test_a_sweep_is_paused_at_a_checkpoint_and_ends_as_one_that_was_not(lab: Lab, tmp_path: Path) -> None:
    record_id = start(lab)
    assert worker(lab, at("epoch 3", lambda: lab.command(record_id, "pause"))).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "paused" and states(lab, record_id) == ["paused", *["missing"] * 3]
    with lab.database.read() as tx:
        epochs = [one.epoch for one in runs.checkpoints_of(tx, view["runs"][0]["record"])]
    assert epochs == [2, 3], "one was made to pause at"
    assert view["progress"] == pytest.approx(3 / 4 / 4)
    lab.command(record_id, "continue")
    seen: list[str] = []
    assert worker(lab, seen.append).run_one()
    assert seen[0] == "epoch 4" and states(lab, record_id) == ["succeeded"] * 4 and len(tuned(lab)) == 4
    other = Lab(Settings(tmp_path / "other", recorded=None))
    try:
        straight = start(other)
        assert worker(other).run_one()
        assert gains(lab, record_id) == gains(other, straight)
    finally:
        other.close()


def test_a_cancelled_sweep_goes_on_with_the_same_fine_tune_when_asked(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab, at("epoch 3", lambda: lab.command(record_id, "cancel"))).run_one()
    assert shown(lab, record_id)["state"] == "cancelled"
    assert states(lab, record_id) == ["cancelled", *["missing"] * 3]
    Sweeps(lab).command(record_id, "resume")
    seen: list[str] = []
    assert worker(lab, seen.append).run_one()
    assert seen[0] in ("epoch 3", "epoch 4"), "from a checkpoint"
    assert states(lab, record_id) == ["succeeded"] * 4 and len(tuned(lab)) == 4


def test_a_fine_tune_with_a_job_of_its_own_is_left_to_it(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab, at("epoch 3", lambda: lab.command(record_id, "cancel"))).run_one()
    first = shown(lab, record_id)["runs"][0]["record"]
    Sweeps(lab).command(record_id, "resume")
    with lab.database.write() as tx:
        jobs.enqueue(tx, kind=jobs.TRAIN, record_id=first, lane="batch")
        sessions.set_state(tx, first, "pending")
    assert worker(lab).run_one()
    assert shown(lab, record_id)["state"] == "succeeded"
    assert states(lab, record_id) == ["pending", *["succeeded"] * 3]
    assert worker(lab).run_one()
    assert states(lab, record_id) == ["succeeded"] * 4 and len(tuned(lab)) == 4


def test_a_killed_worker_is_gone_on_from_its_checkpoint(lab: Lab) -> None:
    record_id = start(lab)

    class Killed(BaseException):
        pass

    seen: list[str] = []

    def before(name: str) -> None:
        seen.append(name)
        if seen.count("epoch 4") == 2:
            raise Killed

    with pytest.raises(Killed):
        worker(lab, before, owner="first").run_one()
    assert states(lab, record_id) == ["succeeded", "running", "missing", "missing"]
    with lab.database.write() as tx:
        jobs.expire(tx, "first")
    events: list[str] = []
    assert worker(lab, events.append, owner="second").run_one()
    assert events[0] == "epoch 3" and states(lab, record_id) == ["succeeded"] * 4 and len(tuned(lab)) == 4


def test_a_worker_that_is_to_stop_gives_the_sweep_back(lab: Lab) -> None:
    record_id, stop = start(lab), threading.Event()
    assert worker(lab, at("epoch 1", stop.set)).run_one(stop)
    assert shown(lab, record_id)["state"] == "pending" and states(lab, record_id)[0] == "pending"


def test_one_failing_cell_leaves_the_others_and_is_tried_again_when_asked(lab: Lab) -> None:
    record_id = start(lab, axes=[{"setting": "model", "values": ["fake", "no-weights"]}])
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "succeeded" and states(lab, record_id) == ["succeeded", "failed"] * 2
    assert "weights of no-weights" in view["runs"][1]["error"]
    assert [cell and cell["runs"] for cell in view["measures"][0]["cells"]] == [2, None]


def test_what_is_asked_is_told_over_http(lab: Lab) -> None:
    app = FastAPI()
    api.mount(app, lab)
    client = TestClient(app)
    real = BODY | {"base": {"epochs": 2}}
    told = client.post("/lab/api/sweep/estimate", json=real).json()
    assert (told["runs"], told["known"], told["cells"]) == (4, 0, 2) and told["nfe"] > 0 and told["seconds"] is None
    refused = client.post("/lab/api/sweep", json=real | {"axes": [{"setting": "learning_rate", "values": [1e-3, 7]}]})
    assert refused.status_code == 422 and "with learning_rate 7" in refused.json()["problems"]["learning_rate"]
    unusable = client.post("/lab/api/sweep", json=BODY)
    assert unusable.status_code == 422 and "model" in unusable.json()["problems"]
    record_id = client.post("/lab/api/sweep", json=real).json()["id"]
    view = client.get(f"/lab/api/sweep/{record_id}").json()
    assert (view["state"], view["name"], view["of"]) == ("pending", "Learning rate", "train")
    table = client.get(f"/lab/api/sweep/{record_id}/table.csv").text.splitlines()
    assert len(table) == 5 and table[0].startswith("learning_rate,seed,fine_tune,state,error,gain:heldout")
    assert table[1].startswith("0.0003,0,,missing")


def test_the_time_is_estimated_from_fine_tunes_that_ran_here(lab: Lab) -> None:
    with lab.database.write() as tx:
        runs.create(tx, from_dict({"epochs": 4, "threads": 1}))
    record_id = lab.recent(1, "train")[0]["id"]
    with lab.database.write() as tx:
        jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")
    assert worker(lab).run_one()
    asked = BODY | {"base": {"epochs": 4, "threads": 1}}
    few, many = (Sweeps(lab).estimate(asked | {"seeds": seeds}) for seeds in (1, 3))
    assert few["seconds"] > 0 and many["seconds"] == pytest.approx(3 * few["seconds"])
    assert many["nfe"] == 3 * few["nfe"]


def test_its_fine_tunes_lie_beside_each_other_on_axes(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab).run_one()
    found = coordinates(lab.database, {"sweep": record_id})
    axes = {axis["name"]: axis for axis in found["axes"]}
    assert found["kind"] == "train" and len(found["records"]) == 4
    assert set(axes["learning_rate"]["values"]) == {3e-4, 1e-3} and {"seed", "gain"} <= axes.keys()


def test_a_fine_tunes_preset_is_its_own_and_not_that_of_its_search(lab: Lab) -> None:
    record_id = start(lab, axes=[{"setting": "preset", "values": ["flow-grpo", "smart-grpo"]}])
    assert worker(lab).run_one()
    (axis,) = (one for one in coordinates(lab.database, {"sweep": record_id})["axes"] if one["name"] == "preset")
    assert axis["words"] == ["flow-grpo", "smart-grpo"]


def test_another_sweep_over_the_same_cells_is_taken_from_it(lab: Lab) -> None:
    one = start(lab)
    other, elsewhere = start(lab, base=BASE | {"kl_beta": 0.1}), start(lab, axes=[{"setting": "ema", "values": ["no"]}])
    for _ in range(3):
        assert worker(lab).run_one()
    app = FastAPI()
    api.mount(app, lab)
    client = TestClient(app)
    (only,) = client.get(f"/lab/api/sweep/{one}/alike").json()
    assert (only["id"], only["settings"]) == (other, "KL weight (β) 0.1")
    found = client.get(f"/lab/api/sweep/{one}/less/{other}").json()
    assert found["measures"][0]["values"] == [0.0] * 4, "the fake trainer does not look at it"
    assert [cell["runs"] for cell in found["measures"][0]["cells"]] == [2, 2]
    assert found["records"] == [run["record"] for run in shown(lab, other)["runs"]]
    refused = client.get(f"/lab/api/sweep/{one}/less/{elsewhere}")
    assert refused.status_code == 422 and "same values of the same settings" in refused.text
    assert client.get(f"/lab/api/sweep/{one}/less/none").status_code == 404


def test_it_is_handed_on_with_its_fine_tunes_and_their_watched_searches(lab: Lab, tmp_path: Path) -> None:
    searching = BASE | {"noise_source": "search", "watch_every": 2, "sde_window": None, "num_steps": 4}
    record_id = start(lab, base=searching, seeds=1)
    assert worker(lab).run_one()
    written = write_bundle(lab.database, lab.artifacts, lab.checkpoints, [record_id], tmp_path / "sweep.zip")
    watched = {row["id"] for row in lab.recent(99, "session")}
    assert len(watched) == 4 and set(written) == {record_id, *(row["id"] for row in tuned(lab)), *watched}
