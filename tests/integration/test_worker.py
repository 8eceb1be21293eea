"""The worker over the fake engine: what it records, what it obeys, and what it survives."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.orders import Position
from app.recorder import Recorder, place_of
from app.services import Lab
from app.settings import Settings
from app.worker import Worker
from core.config import from_dict, to_dict
from core.events import ArmFinished, ExploreEvent
from storage import jobs, sessions
from tests.fakes import fake_explore, fake_reward, fake_toolbox

# Steps 4 and 5 of ten are searched.
PLAIN = {
    "prompt": "a photo of a red circle",
    "seed": 3,
    "rewards": {"shapes-verifier": 1.0},
    "model": "fake",
    "window_min": 0.7,
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def start(lab: Lab, **changes: Any) -> str:
    """Queue a session of the fake model, which no registry knows."""
    config = from_dict(PLAIN | changes)
    with lab.database.write() as tx:
        record_id = sessions.create(tx, config)
        jobs.enqueue(tx, kind="explore", record_id=record_id)
    return record_id


def worker(lab: Lab, before: Callable[[str], None] = lambda name: None, **options: Any) -> Worker:
    """`before` is called with a search's event before it is recorded, and before a candidate is rolled out."""
    reward = options.pop("reward", fake_reward)

    class Told(Worker):
        def _record(self, recorder: Recorder, claim: jobs.Claim, event: ExploreEvent, position: Position) -> Any:
            named = (event.arm,) if isinstance(event, ArmFinished) else place_of(event)
            before(" ".join(str(part) for part in named if part is not None))
            return super()._record(recorder, claim, event, position)

    rolled = fake_toolbox(lambda name: before(name) if name.startswith("finish ") else None, reward)
    return Told(lab.database, lab.artifacts, rolled, **options)


def shown(lab: Lab, record_id: str) -> dict[str, Any]:
    view = lab.session_view(record_id)
    assert view is not None
    return view


def science(view: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on how a session was run: everything but its identity and its seconds."""
    names = ("sigmas", "searched", "steps", "iterations", "arms")
    plain = {name: view[name] for name in names}
    for rows in ("steps", "iterations", "arms"):
        plain[rows] = [{k: v for k, v in row.items() if k != "seconds"} for row in view[rows]]
    return plain | {"cost": {k: v for k, v in view["cost"].items() if k != "seconds"}}


def undisturbed(lab: Lab, **changes: Any) -> dict[str, Any]:
    record_id = start(lab, **changes)
    assert worker(lab).run_one()
    return science(shown(lab, record_id))


def at(place: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Do something once, just before the event of that name is recorded."""
    left = [place]

    def before(name: str) -> None:
        if name in left:
            left.remove(name)
            act()

    return before


def test_a_job_is_recorded_from_its_first_event_to_its_last(lab: Lab) -> None:
    record_id = start(lab)
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    config = from_dict(PLAIN)
    assert (view["state"], view["job"]["status"], view["error"]) == ("succeeded", "succeeded", None)
    assert len(view["steps"]) == config.num_steps
    assert len(view["iterations"]) == sum(view["searched"]) * config.search.num_iterations > 0
    assert [arm["arm"] for arm in view["arms"]] == ["search", *config.arms]
    names = [view["iterations"][0]["images"][0], view["steps"][0]["image"], view["arms"][0]["image"]]
    assert all(lab.artifact_path(name).stat().st_size > 0 for name in names)
    assert not worker(lab).run_one(), "the queue is empty now"


def test_the_final_picture_is_lossless_and_carries_its_config(lab: Lab) -> None:
    import json

    import numpy as np
    from PIL import Image

    from app.pictures import METADATA_KEY
    from core.events import ArmFinished
    from tests.fakes import FakeModel

    record_id = start(lab, prompt="a photo of a ⟨red⟩ circle")
    worker(lab).run_one()
    config = from_dict(PLAIN | {"prompt": "a photo of a ⟨red⟩ circle"})
    events = fake_explore(config, FakeModel(), {"shapes-verifier": fake_reward})
    expected = next(event for event in events if isinstance(event, ArmFinished))
    with Image.open(lab.artifact_path(shown(lab, record_id)["arms"][0]["image"])) as image:
        np.testing.assert_array_equal(np.asarray(image), expected.image)
        assert json.loads(image.text[METADATA_KEY]) == {"arm": "search", "config": to_dict(config)}


@pytest.mark.parametrize("place", ["iteration 4 0", "iteration 5 3", "step 0", "step 7", "search", "best_of_sde"])
def test_pause_frees_the_slot_and_continue_goes_on_to_the_same_end(lab: Lab, place: str) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    assert worker(lab, at(place, lambda: lab.command(record_id, "pause"))).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["mode"]) == ("paused", "paused")
    assert not worker(lab).run_one(), "a paused job is nobody's"
    lab.command(record_id, "continue")
    assert worker(lab).run_one()
    assert science(shown(lab, record_id)) == expected


def test_each_step_brings_one_more_result(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    lab.command(record_id, "pause")
    counts = []
    for _ in range(100):
        lab.command(record_id, "step")
        assert shown(lab, record_id)["job"]["mode"] == "stepping"
        assert worker(lab).run_one()
        view = shown(lab, record_id)
        if view["state"] == "succeeded":
            break
        assert view["state"] == "paused"
        counts.append(len(view["iterations"]) + len(view["steps"]) + len(view["arms"]))
    assert counts == list(range(1, len(counts) + 1))
    assert science(shown(lab, record_id)) == expected


def test_a_step_for_a_place_already_left_is_refused_and_says_so(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab, at("iteration 4 1", lambda: lab.command(record_id, "pause"))).run_one()
    lab.command(record_id, "step", expected_step=4, expected_iteration=0)
    worker(lab).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "paused" and view["iterations"][-1]["iteration"] == 1
    assert (
        view["job"]["refusal"]
        == "step was meant for step 5, iteration 1; the session is already at step 5, iteration 2"
    )


def test_cancel_ends_a_running_job_before_its_next_event(lab: Lab) -> None:
    record_id = start(lab)
    worker(lab, at("iteration 4 2", lambda: lab.command(record_id, "cancel"))).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["job"]["status"]) == ("cancelled", "cancelled")
    assert len(view["iterations"]) == 3 and not view["arms"]
    lab.command(record_id, "continue")
    assert not worker(lab).run_one()
    assert "already ended" in shown(lab, record_id)["job"]["refusal"]


def test_elites_chosen_by_a_person_change_what_follows_and_survive_a_pause(lab: Lab) -> None:
    plain = undisturbed(lab)
    record_id = start(lab)

    def choose() -> None:
        lab.command(record_id, "elites", {"elites": [4, 0, 3]}, 4, 1)

    worker(lab, at("iteration 4 1", choose)).run_one()
    chosen = science(shown(lab, record_id))
    assert chosen["iterations"][1]["elites"] == [4, 0, 3]
    assert chosen["iterations"][:1] == plain["iterations"][:1] and chosen["iterations"][2:] != plain["iterations"][2:]

    again = start(lab)
    worker(lab, at("iteration 4 1", lambda: lab.command(again, "pause"))).run_one()
    lab.command(again, "elites", {"elites": [4, 0, 3]}, 4, 1)
    lab.command(again, "continue")
    worker(lab).run_one()
    assert science(shown(lab, again)) == chosen


def test_the_engine_is_one_event_ahead_but_not_of_a_step(lab: Lab) -> None:
    record_id = start(lab)
    computed: list[str] = []
    ahead = Worker(lab.database, lab.artifacts, fake_toolbox(computed.append, fake_reward))
    lab.command(record_id, "pause")
    assert ahead.run_one() is False and computed == []
    for place in ("step 0", "step 1"):
        lab.command(record_id, "step")
        assert ahead.run_one() and computed.pop() == place and computed == []
    recorded: list[list[str]] = []
    record = ahead._record

    def late(recorder: Recorder, claim: jobs.Claim, event: ExploreEvent, position: Position) -> Any:
        deadline = time.monotonic() + 30
        while len(computed) < len(recorded) + 2 and computed[-1:] != ["finished"] and time.monotonic() < deadline:
            time.sleep(0.001)
        recorded.append(list(computed))
        return record(recorder, claim, event, position)

    ahead._record = late  # type: ignore[method-assign]
    lab.command(record_id, "continue")
    assert ahead.run_one() and shown(lab, record_id)["state"] == "succeeded"
    assert [len(names) for names in recorded[:5]] == [2, 3, 4, 5, 6], "each waits for the next to be computed"


@pytest.mark.parametrize("elites", [[], [0, 0], [5], [-1], [True], ["0"], None, [0.5]])
def test_elites_that_cannot_be_are_refused_and_change_nothing(lab: Lab, elites: Any) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    worker(lab, at("iteration 4 1", lambda: lab.command(record_id, "elites", {"elites": elites}))).run_one()
    assert science(shown(lab, record_id)) == expected
    assert shown(lab, record_id)["job"]["refusal"].startswith("expected")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": "no-such"}, "the weights of no-such are not on this machine"),
        ({"rewards": {"no-reward": 1.0}}, "the weights of no-reward are not on this machine"),
    ],
)
def test_what_cannot_be_loaded_fails_the_job_with_its_message(lab: Lab, changes: dict[str, Any], error: str) -> None:
    record_id = start(lab, **changes)
    assert worker(lab).run_one()
    view = shown(lab, record_id)
    assert (view["state"], view["error"]) == ("failed", error)


def test_a_bug_fails_the_job_and_not_the_worker(lab: Lab) -> None:
    def broken(images: Any, prompts: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    first, second = start(lab), start(lab)
    one = worker(lab, reward=broken)
    assert one.run_one() and one.run_one()
    for record_id in (first, second):
        error = shown(lab, record_id)["error"]
        assert error == "something unexpected went wrong (ZeroDivisionError): division by zero"


def test_stopping_the_worker_records_the_event_under_way_and_requeues(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id, stop = start(lab), threading.Event()
    one = worker(lab, at("iteration 5 2", stop.set))
    one.run(stop)
    view = shown(lab, record_id)
    last = view["iterations"][-1]["iteration"]
    assert view["job"]["status"] == "pending" and last in (2, 3), "3 where it was being computed already"
    assert worker(lab).run_one()
    assert science(shown(lab, record_id)) == expected


def test_a_worker_whose_lease_ran_out_writes_nothing_more(lab: Lab) -> None:
    expected = undisturbed(lab)
    record_id = start(lab)
    later = worker(lab, clock=lambda: time.time() + 2 * jobs.LEASE_SECONDS)

    def overtake() -> None:
        assert later.run_one(), "the lease looks expired to it"

    slow = worker(lab, at("iteration 4 3", overtake), renew_seconds=3600.0)
    assert slow.run_one()
    view = shown(lab, record_id)
    assert view["state"] == "succeeded" and view["job"]["attempt"] == 2
    assert science(view) == expected


def test_a_long_event_keeps_its_lease(lab: Lab) -> None:
    record_id = start(lab)
    now = [time.time()]
    other = worker(lab, clock=lambda: now[0])

    def patient() -> None:
        now[0] += 0.9 * jobs.LEASE_SECONDS  # not yet expired
        time.sleep(0.3)  # renewed meanwhile, at the moved clock
        now[0] += 0.9 * jobs.LEASE_SECONDS
        assert not other.run_one()

    mine = worker(lab, at("iteration 4 3", patient), renew_seconds=0.05, clock=lambda: now[0])
    assert mine.run_one()
    assert shown(lab, record_id)["job"]["attempt"] == 1


def test_two_workers_never_run_one_job_twice(lab: Lab) -> None:
    changes = {"num_steps": 3, "arms": []}
    records = [start(lab, seed=seed, **changes) for seed in range(8)]
    started: list[str] = []
    stop = threading.Event()

    def loop(name: str) -> None:
        one = worker(lab, owner=name, poll_seconds=0.005)
        load = one.toolbox.explore

        def explore(config: Any, *rest: Any, **options: Any) -> Any:
            started.append(f"seed {config.seed}")
            return load(config, *rest, **options)

        object.__setattr__(one.toolbox, "explore", explore)
        one.run(stop)

    threads = [threading.Thread(target=loop, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(shown(lab, r)["state"] != "succeeded" for r in records):
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(started) == [f"seed {seed}" for seed in range(8)]
    assert [shown(lab, record_id)["job"]["attempt"] for record_id in records] == [1] * 8


def test_a_recorder_without_a_job_leaves_a_session_that_can_be_seen(lab: Lab) -> None:
    from tests.fakes import FakeModel

    config = from_dict(PLAIN)
    with lab.database.write() as tx:
        record_id = sessions.create(tx, config)
    recorder = Recorder(lab.database, lab.artifacts, record_id)
    for event in fake_explore(config, FakeModel(), {"shapes-verifier": fake_reward}):
        recorder.record(event)
    assert science(shown(lab, record_id)) == undisturbed(lab)
    assert shown(lab, record_id)["job"] is None


def test_a_session_tried_again_stands_where_the_first_try_came_to(lab: Lab) -> None:
    record_id = start(lab, arms=[])
    worker(lab, at("iteration 4 2", lambda: lab.command(record_id, "cancel"))).run_one()
    view = shown(lab, record_id)
    last = view["iterations"][-1]
    assert view["state"] == "cancelled" and (last["step"], last["iteration"]) == (4, 2)
    lab.retry_job(view["job"]["id"])
    lab.command(record_id, "step", None, 4, 2)
    worker(lab).run_one()
    view = shown(lab, record_id)
    assert view["state"] == "paused" and view["job"]["refusal"] is None, "what the page showed is still the latest"
    assert [(row["step"], row["iteration"]) for row in view["iterations"][-1:]] == [(4, 3)]
    lab.command(record_id, "continue")
    worker(lab).run_one()
    assert science(shown(lab, record_id)) == undisturbed(lab, arms=[])
