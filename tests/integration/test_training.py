"""Fine-tunes over the fake trainer: recorded, obeyed, killed, resumed, and what they make is a model."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from app.measurements import Measurements
from app.services import Lab
from app.settings import Settings
from app.status import record_size
from app.train_runs import TrainRuns
from app.trained import trained_id
from core.config import SearchConfig
from core.errors import ConfigError, LabError, NotFound
from core.train_config import TrainConfig
from storage import jobs, runs, tables
from storage.sessions import set_state
from tests.fakes import fake_toolbox, load_fake_state
from tests.integration import test_worker as sessions
from tests.integration.test_worker import at

CONFIG = TrainConfig(
    model="fake",
    epochs=6,
    prompts=("a photo of a red circle",),
    num_steps=4,
    window_min=0.55,
    search=SearchConfig(num_candidates=2, num_iterations=1, elite_fraction=0.5),
    eval_every=3,
    sample_every=3,
    checkpoint_every=2,
    noise_source="search",
    watch_every=4,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def start(lab: Lab, **changes: Any) -> str:
    """Queue a fine-tune of the fake model, which no registry knows."""
    with lab.database.write() as tx:
        record_id = runs.create(tx, replace(CONFIG, **changes))
        jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")
    return record_id


def worker(lab: Lab, before: Callable[[str], None] = lambda name: None, **options: Any) -> Any:
    return sessions.Worker(lab.database, lab.artifacts, fake_toolbox(before), lane="batch", **options)


def shown(lab: Lab, record_id: str) -> dict[str, Any]:
    view = TrainRuns(lab).view(record_id)
    assert view is not None
    return view


def weights(lab: Lab, record_id: str) -> bytes:
    return TrainRuns(lab).lora(record_id, raw=True)[0].read_bytes()


def undisturbed(lab: Lab, **changes: Any) -> bytes:
    record_id = start(lab, **changes)
    assert worker(lab).run_one()
    return weights(lab, record_id)


def test_a_run_is_recorded_from_before_its_first_epoch_to_its_last(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab).run_one() and not worker(lab).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["status"], view["error"], view["progress"]) == ("succeeded",) * 2 + (None, 1.0)
    assert [row["epoch"] for row in view["epochs"]] == list(range(7))
    assert view["epochs"][2]["metrics"]["approx_kl"] is None, "what is not finite is told as nothing"
    assert view["epochs"][2]["per_step"]["clip_fraction"] == [None, 0.1, None, None]
    assert [(row["epoch"], row["ema"]) for row in view["samples"]] == [(0, True), (3, True), (6, True)]
    assert {(row["columns"], row["cell"]) for row in view["samples"]} == {(8, 15)}
    assert [row["epoch"] for row in view["checkpoints"]] == [2, 4, 6]
    assert view["diagnosis"] == ["After 6 epochs <b>nothing</b> is known."]
    assert "epoch 6: " in view["log"] and "finished after epoch 6" in view["log"]
    assert view["cost"]["nfe"] == 6 * 24 and view["usage"]["cpu_seconds"] > 0 < view["usage"]["peak_memory_mb"]
    assert view["environment"]["threads"] == 1 and view["environment"]["packages"]["numpy"]
    assert view["trained_model"] == f"fake+{record_id}"
    listed = next(one for one in lab.recent(9) if one["id"] == record_id)
    assert (listed["kind"], listed["headline"]["epochs"], listed["seconds"]) == ("train", 6, view["cost"]["seconds"])
    assert listed["headline"]["heldout"] == [0.0, view["epochs"][6]["metrics"]["heldout"]]


def test_a_watched_search_opens_as_a_session_of_the_model_as_it_was_then(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    (watched,) = shown(lab, record_id)["watched"]
    session = lab.session_view(watched["session"])
    assert watched["epoch"] == 4 and session is not None and session["state"] == "succeeded"
    assert session["config"]["model"] == trained_id("fake", record_id, 4, raw=True)
    assert session["iterations"] and session["arms"][0]["arm"] == "search" and session["parent"] == record_id


def test_what_is_newer_than_a_cursor_is_told_alone(lab: Lab) -> None:
    record_id = start(lab)
    cursors: list[int] = []

    def look() -> None:
        view = shown(lab, record_id)
        cursors.append(view["seq"])
        assert [row["epoch"] for row in view["epochs"]] == [0, 1, 2, 3]

    worker(lab, at("epoch 4", look)).run_one()
    part = TrainRuns(lab).view(record_id, cursors[0])
    assert part is not None and part["partial"] and [row["epoch"] for row in part["epochs"]] == [4, 5, 6]
    assert [row["epoch"] for row in part["samples"]] == [6]
    assert TrainRuns(lab).view(record_id, part["seq"]) is None


def test_pause_keeps_a_checkpoint_and_continue_goes_on_to_the_same_weights(lab: Lab) -> None:
    expected, record_id, asked = undisturbed(lab), start(lab), TrainRuns(lab)
    worker(lab, at("epoch 3", lambda: asked.command(record_id, "pause"))).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["mode"], view["last_epoch"]) == ("paused", "paused", 3)
    assert [row["epoch"] for row in view["checkpoints"]] == [2, 3] and not worker(lab).run_one()
    begun: list[str] = []
    asked.command(record_id, "continue")
    assert worker(lab, begun.append).run_one()
    assert begun == ["epoch 4", "epoch 5", "epoch 6", "finished"] and weights(lab, record_id) == expected
    assert [row["epoch"] for row in shown(lab, record_id)["epochs"]] == list(range(7))


def test_a_pause_waits_for_what_belongs_to_the_epoch(lab: Lab) -> None:
    record_id, asked = start(lab, watch_every=3), TrainRuns(lab)
    worker(lab, at("epoch 3", lambda: asked.command(record_id, "pause"))).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "paused" and [row["epoch"] for row in view["samples"]] == [0, 3]
    assert [row["epoch"] for row in view["watched"]] == [3]
    asked.command(record_id, "continue")
    assert worker(lab).run_one() and [row["epoch"] for row in shown(lab, record_id)["samples"]] == [0, 3, 6]


def test_a_pause_that_is_taken_back_in_time_stops_nothing(lab: Lab) -> None:
    record_id, asked = start(lab), TrainRuns(lab)

    def twice() -> None:
        asked.command(record_id, "pause")
        asked.command(record_id, "continue")

    worker(lab, at("epoch 3", twice)).run_one()
    assert shown(lab, record_id)["state"] == "succeeded" and shown(lab, record_id)["job"]["refusal"] is None


def test_save_and_sample_are_answered_after_the_epoch_under_way(lab: Lab) -> None:
    record_id, asked = start(lab), TrainRuns(lab)

    def both() -> None:
        asked.command(record_id, "save")
        asked.command(record_id, "sample")

    worker(lab, at("epoch 1", both)).run_one()
    view = shown(lab, record_id)
    assert [(row["epoch"], row["kept"]) for row in view["checkpoints"]][:2] == [(1, True), (2, False)]
    assert [row["epoch"] for row in view["samples"]] == [0, 1, 3, 6]
    with lab.database.read() as tx:
        assert jobs.pending_commands(tx, view["job"]["id"]) == []
    asked.command(record_id, "save")
    assert "already ended" in shown(lab, record_id)["job"]["refusal"]


@pytest.mark.parametrize("way", ["from the queue", "from its page"])
def test_a_stopped_run_keeps_its_last_epoch_and_continues_from_there(lab: Lab, way: str) -> None:
    expected, record_id, asked = undisturbed(lab), start(lab), TrainRuns(lab)

    def stop() -> None:
        asked.command(record_id, "save")  # outranked: what it was stopped with is not kept for good
        asked.command(record_id, "cancel")
        assert shown(lab, record_id)["job"]["mode"] == "stopping"

    worker(lab, at("epoch 3", stop)).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["last_epoch"]) == ("cancelled", 3)
    assert [row["epoch"] for row in view["checkpoints"]] == [2, 3]
    assert [row["epoch"] for row in view["samples"]] == [0, 3], "what belongs to the epoch is still drawn"
    if way == "from the queue":
        lab.retry_job(lab.queue()["finished"][0]["job_id"])
    else:
        asked.command(record_id, "continue")
    assert shown(lab, record_id)["state"] == "pending"
    begun: list[str] = []
    assert worker(lab, begun.append).run_one()
    assert begun[0] == "epoch 4" and weights(lab, record_id) == expected
    assert [row["epoch"] for row in shown(lab, record_id)["epochs"]] == list(range(7))


def test_before_the_first_epoch_a_run_is_stopped_at_once(lab: Lab) -> None:
    record_id, asked = start(lab), TrainRuns(lab)
    worker(lab, at("epoch 0", lambda: asked.command(record_id, "cancel"))).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["checkpoints"]) == ("cancelled", []) and view["last_epoch"] in (None, 0)


def test_a_run_of_the_command_line_continues_as_a_job(lab: Lab) -> None:
    """It has no job of its own until somebody presses Continue; one that has finished does not go on."""
    with lab.database.write() as tx:
        record_id = runs.create(tx, CONFIG)
        set_state(tx, record_id, "cancelled")
    TrainRuns(lab).command(record_id, "continue")
    assert worker(lab).run_one() and shown(lab, record_id)["state"] == "succeeded"
    TrainRuns(lab).command(record_id, "continue")
    assert "already ended" in shown(lab, record_id)["job"]["refusal"]
    with lab.database.write() as tx:
        swept = runs.create(tx, CONFIG, parent=record_id)
        set_state(tx, swept, "failed")
    with pytest.raises(LabError, match="continue the sweep"):
        TrainRuns(lab).command(swept, "continue")


def test_stopping_the_worker_makes_a_checkpoint_and_requeues(lab: Lab) -> None:
    expected, record_id, stop = undisturbed(lab), start(lab), threading.Event()
    worker(lab, at("epoch 3", stop.set)).run(stop)
    view = shown(lab, record_id)
    assert (view["state"], [row["epoch"] for row in view["checkpoints"]]) == ("pending", [2, 3])
    begun: list[str] = []
    assert worker(lab, begun.append).run_one() and begun[0] == "epoch 4" and weights(lab, record_id) == expected


def test_what_goes_wrong_is_told_and_leaves_the_last_good_checkpoint(lab: Lab) -> None:
    def fail() -> None:
        raise LabError("the loss is not finite in epoch 5: expected a smaller learning rate")

    record_id = start(lab)
    worker(lab, at("epoch 5", fail)).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "failed" and "not finite in epoch 5" in view["error"] and "not finite" in view["log"]
    file, epoch = TrainRuns(lab).lora(record_id)
    assert epoch == 4 and file.is_file()


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(lab: Lab) -> None:
    expected, record_id, stop = undisturbed(lab), start(lab), threading.Event()
    worker(lab, at("epoch 5", stop.set)).run(stop)
    with lab.database.read() as tx:
        newest = runs.checkpoints_of(tx, record_id)[-1]
    file = lab.checkpoints.path(record_id, newest.folder) / "trainer.json"
    file.write_text(file.read_text() + " ")
    begun: list[str] = []
    assert worker(lab, begun.append).run_one() and begun[0] == "epoch 5" and newest.epoch == 5
    assert (
        weights(lab, record_id) == expected and "trainer.json is not what was written" in shown(lab, record_id)["log"]
    )


def test_old_checkpoints_make_room_but_for_those_that_somebody_asked_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.training.ROOM", 1)
    monkeypatch.setattr("app.training.too_many.__defaults__", (2, 1))
    record_id = start(lab)
    worker(lab, at("epoch 2", lambda: TrainRuns(lab).command(record_id, "save"))).run_one()
    assert [row["epoch"] for row in shown(lab, record_id)["checkpoints"]] == [2, 4, 6]
    folders = {path.name for path in (lab.checkpoints.folder / record_id).iterdir()}
    assert folders == {"1-2", "1-4", "1-6"}


def test_two_workers_never_run_one_run(lab: Lab) -> None:
    record_id = start(lab)
    both = [worker(lab, owner=name) for name in ("a", "b")]
    taken: list[bool] = []
    started = threading.Barrier(2)

    def work(one: Any) -> None:
        started.wait()
        taken.append(one.run_one())

    threads = [threading.Thread(target=work, args=(one,)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False, True]
    view = shown(lab, record_id)
    assert view["state"] == "succeeded" and view["job"]["attempt"] == 1


def test_a_worker_that_lost_its_lease_writes_nothing_more(lab: Lab) -> None:
    expected, record_id = undisturbed(lab), start(lab)

    def lose() -> None:
        with lab.database.write() as tx:
            tx.execute(sa.update(tables.jobs).where(tables.jobs.c.record_id == record_id).values(lease_expires_at=0.0))
        assert worker(lab, owner="second").run_one()

    worker(lab, at("epoch 3", lose), owner="first").run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["attempt"]) == ("succeeded", 2) and weights(lab, record_id) == expected
    assert view["log"].count("epoch 3: ") == 1


def test_deleting_a_run_for_good_removes_its_checkpoints(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    folder = lab.checkpoints.folder / record_id
    assert folder.is_dir()
    lab.trash_record(record_id)
    lab.delete_record(record_id)
    assert lab.sweeper.wait(20) and not folder.exists()
    with pytest.raises(NotFound):
        TrainRuns(lab).view(record_id)


def test_what_was_trained_is_a_model(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab).run_one()
    tools = lab.with_trained(fake_toolbox())
    newest, second = tools.load_model(f"fake+{record_id}"), tools.load_model(f"fake+{record_id}@2:raw")
    assert newest.adapter == weights(lab, record_id) != second.adapter
    with lab.database.read() as tx:
        row = next(one for one in runs.checkpoints_of(tx, record_id) if one.epoch == 2)
    state = load_fake_state(lab.checkpoints.path(record_id, row.folder))
    assert np.array_equal(state["weights"], np.frombuffer(second.adapter))
    assert tools.load_model("fake").adapter == b""
    for name, problem in (
        (f"fake+{record_id}@3", "no such checkpoint; its checkpoints are of epochs 2, 4, 6"),
        (f"other+{record_id}", "is of fake, not of other"),
        ("fake+aaaaaaaaaaaa", "there is no session"),
    ):
        assert problem in lab.usable(name)[1]
        with pytest.raises(LabError, match=problem):
            tools.load_model(name)
    offered = next(one for one in lab.options()["models"] if one["name"] == f"fake+{record_id}")
    assert record_id in offered["title"] and not offered["usable"], "its base is nothing that a registry knows"


def test_searches_and_measurements_may_use_what_was_trained(lab: Lab) -> None:
    record_id = start(lab, model="shapes-sd3")
    worker(lab).run_one()
    prompt, model = "a photo of a red circle", f"shapes-sd3+{record_id}"
    session = lab.start_session({"prompt": prompt, "model": model})
    assert lab.config_of(session).model == model and lab.cost_estimate({"prompt": prompt, "model": model})["nfe"] > 0
    measured = Measurements(lab).start({"prompts": [prompt], "model": model})
    assert lab.recent(1)[0]["id"] == measured and lab.recent(1)[0]["model"] == model
    for asked in (lab.start_session, lambda body: Measurements(lab).start({"prompts": [prompt]} | body)):
        with pytest.raises(ConfigError) as told:
            asked({"prompt": prompt, "model": f"{model}@1"} if asked == lab.start_session else {"model": f"{model}@1"})
        assert "its checkpoints are of epochs 2, 4, 6" in told.value.problems["model"]
    folder = lab.checkpoints.folder / record_id
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert record_size(lab.database, lab.artifacts, record_id) > held > 0


def test_an_earlier_checkpoint_is_offered_where_it_is_asked_for(lab: Lab) -> None:
    record_id = start(lab, guidance_scale=1.0, num_steps=4)
    worker(lab).run_one()
    earlier = f"fake+{record_id}@2:raw"

    def names(model: str | None = None) -> set[str]:
        return {one["name"] for one in lab.options(model)["models"]}

    assert names(earlier) - names() == {earlier} and names(f"fake+{record_id}@3") == names("nonsense") == names()
    form = lab.trained_form(record_id, "2")
    assert (form["model"], form["guidance_scale"], form["num_steps"]) == (f"fake+{record_id}@2", 1.0, 4)
    assert form["prompt"] == CONFIG.prompts[0] and form["search"]["preset"] == "smart-grpo"
    assert lab.trained_form(record_id)["model"] == f"fake+{record_id}"
    for epoch, problem in (("3", "no such checkpoint"), ("x", "whole number")):
        with pytest.raises(LabError, match=problem):
            lab.trained_form(record_id, epoch)


def test_a_model_that_still_learns_is_named_with_its_checkpoint(lab: Lab) -> None:
    record_id = start(lab)

    def look() -> None:
        assert shown(lab, record_id)["trained_model"] == f"fake+{record_id}@4"
        assert lab.options()["models"][-1]["name"] == f"fake+{record_id}@4"
        assert lab.usable(f"fake+{record_id}@4")[1] == lab.usable("fake")[1] != lab.usable(f"fake+{record_id}")[1]
        assert lab.trained_form(record_id)["model"] == f"fake+{record_id}@4"

    worker(lab, at("epoch 5", look)).run_one()
    assert shown(lab, record_id)["state"] == "succeeded"


def test_a_trial_compares_the_trained_model_with_its_base(lab: Lab) -> None:
    record_id, asked = start(lab, rewards={"shapes-clip": 1.0, "shapes-verifier": 0.0}), TrainRuns(lab)
    with pytest.raises(LabError, match="no checkpoint yet"):
        asked.evaluate(record_id, {})
    worker(lab).run_one()
    assert asked.evaluate(record_id, {"prompts": 3, "search": "smart-grpo"}) == {"number": 1}
    assert shown(lab, record_id)["evaluations"][0]["state"] == "pending"
    assert worker(lab).run_one()
    (trial,) = shown(lab, record_id)["evaluations"]
    assert (trial["state"], trial["asked"]["epoch"], trial["result"]["prompts"]) == ("succeeded", 6, 1)
    arms = {(one["model"], one["arm"]) for one in trial["result"]["arms"]}
    assert arms == {(model, arm) for model in ("base", "trained") for arm in ("search", "ode", "no_search")}
    gain = next(one for one in trial["result"]["gains"] if (one["model"], one["arm"]) == ("trained", "ode"))
    assert gain["against"] == {"model": "base", "arm": "ode"} and gain["rewards"]["total"]["mean"] == 0.0
    assert shown(lab, record_id)["state"] == "succeeded", "a trial is not the run's own job"
    with pytest.raises(LabError, match="expected one of 2, 4, 6"):
        asked.evaluate(record_id, {"epoch": 5})


def test_commands_that_are_none_are_refused(lab: Lab) -> None:
    record_id = start(lab)
    with pytest.raises(LabError, match="expected one of pause"):
        TrainRuns(lab).command(record_id, "elites")
    TrainRuns(lab).command(record_id, "save")
    assert "of a fine-tune that runs" in shown(lab, record_id)["job"]["refusal"]
