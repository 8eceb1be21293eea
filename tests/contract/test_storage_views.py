"""Views: what changed since a cursor, and candidates one by one only where a page shows them; on both databases."""

import math
from dataclasses import replace

import pytest
import sqlalchemy as sa
import storage_examples as examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import NotFound
from core.events import CandidateFinished, Cost, IterationScored
from storage import counter, jobs, records, sessions, views
from storage.engine import Database

KEYS = {
    "steps": ("step",),
    "iterations": ("step", "iteration"),
    "arms": ("arm",),
    "finishes": ("step", "iteration", "candidate"),
}
ARRAYS = ("images", "rewards", "total", "norms", "kurtosis")


def rolled_out(step: int, iteration: int, candidate: int, total: float = 0.5) -> CandidateFinished:
    rewards = {"verifier": total, "clip": 0.25, "size": math.nan}
    return CandidateFinished(step, iteration, candidate, None, rewards, total, Cost(12, 1, 3, 0.75))


def shown(database: Database, record_id: str, after: int | None = None) -> dict:
    with database.read() as tx:
        return sessions.view(tx, record_id, after)


def merged(known: dict | None, answer: dict) -> dict:
    """What a page holds after an answer: rows take the place of those with their key, all else is the answer's."""
    if known is None or not answer["partial"]:
        return answer
    whole = dict(answer) | {"partial": False}
    for name, key in KEYS.items():
        rows = {tuple(row[part] for part in key): row for row in [*known[name], *answer[name]]}
        whole[name] = list(rows.values())
    for row in whole["iterations"]:
        if row["step"] not in whole["detail"]:
            for array in ARRAYS:
                row.pop(array, None)
    return whole


def in_order(view: dict) -> dict:
    """Rows sorted by their keys: a page sorts as it draws."""
    plain = dict(view)
    for name, key in KEYS.items():
        plain[name] = sorted(view[name], key=lambda row: [str(row[part]) for part in key])  # noqa: B023
    return plain


class Happenings:
    """A session with its job, and everything that can happen to it, one `do` at a time."""

    def __init__(self, database: Database, artifacts):
        self.database, self.artifacts = database, artifacts
        self.record_id = examples.new_session(database)
        with database.write() as tx:
            self.job = jobs.enqueue(tx, kind="explore", record_id=self.record_id)
        self.claim = None

    def do(self, what: int) -> None:
        events = examples.all_events()
        with self.database.write() as tx:
            if what < len(events):
                examples.save(tx, self.artifacts, self.record_id, events[what])
                jobs.append_event(tx, self.job, "happened")
            elif what == len(events) and self._scored(tx):
                sessions.save_elites(tx, self.record_id, 0, 0, (1,))
            elif what == len(events) + 1 and self._scored(tx):
                sessions.save_finish(tx, self.record_id, rolled_out(0, 0, 2), "picture")
            elif what == len(events) + 2:
                records.change_record(tx, self.record_id, {"name": f"name {counter.last_seq(tx, self.record_id)}"})
            elif what == len(events) + 3:
                jobs.send_command(tx, self.job, "pause")
            elif what == len(events) + 4:
                self.claim = self.claim or jobs.claim(tx, lane="interactive", owner="w1", now=1000.0)

    def _scored(self, tx) -> bool:
        return any(
            row["step"] == 0 and row["iteration"] == 0 for row in sessions.view(tx, self.record_id)["iterations"]
        )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings=st.lists(st.tuples(st.integers(0, 13), st.booleans()), min_size=1, max_size=14))
def test_merging_the_deltas_of_any_sequence_of_polls_gives_the_whole_view(database, artifacts, happenings):
    session = Happenings(database, artifacts)
    known = None
    for what, polled in [*happenings, (99, True)]:
        session.do(what)
        if polled and (known is None or known["seq"] != shown(database, session.record_id)["seq"]):
            known = merged(known, shown(database, session.record_id, None if known is None else known["seq"]))
            assert in_order(known) == in_order(shown(database, session.record_id))


def test_a_delta_holds_only_what_is_new(database, artifacts):
    record_id = examples.new_session(database)
    seen = 0
    expected = [{}, *({"iterations": 1},) * 2, *({"steps": 1},) * 2, *({"arms": 1},) * 3, {}]
    for event, new in zip(examples.all_events(), expected, strict=True):
        with database.write() as tx:
            examples.save(tx, artifacts, record_id, event)
        view = shown(database, record_id, seen)
        assert view["partial"] and view["seq"] > seen
        assert {name: len(view[name]) for name in KEYS if view[name]} == new, type(event).__name__
        seen = view["seq"]
    assert all(shown(database, record_id, seen)[name] == [] for name in KEYS)


@pytest.mark.parametrize("foreign", [10**6, -1])
def test_a_cursor_that_the_record_never_had_gives_the_whole_view(database, artifacts, foreign):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    view = shown(database, record_id, foreign)
    assert not view["partial"] and view == shown(database, record_id)


def test_a_cursor_outlives_the_job_it_came_from(database, artifacts):
    record_id = examples.new_session(database)
    with database.write() as tx:
        jobs.enqueue(tx, kind="explore", record_id=record_id)
        examples.save(tx, artifacts, record_id, examples.started())
        examples.save(tx, artifacts, record_id, examples.scored(0, 0))
        claim = jobs.claim(tx, lane="interactive", owner="w1")
        jobs.finish(tx, claim, "failed", "no")
    cursor = shown(database, record_id)["seq"]
    with database.write() as tx:
        jobs.enqueue(tx, kind="explore", record_id=record_id)
        examples.save(tx, artifacts, record_id, examples.scored(0, 1))
    view = shown(database, record_id, cursor)
    assert view["partial"] and [row["iteration"] for row in view["iterations"]] == [1] and view["state"] == "pending"


def test_a_waiting_session_hears_that_the_queue_has_moved(database):
    ids = [examples.new_session(database, f"number {index}") for index in range(3)]
    with database.write() as tx:
        for record_id in ids:
            jobs.enqueue(tx, kind="explore", record_id=record_id)
    before = shown(database, ids[2])
    assert before["job"]["queue_position"] == 3 and before["job"]["ahead"] == {"id": ids[1], "name": "number 1"}
    with database.write() as tx:
        claim = jobs.claim(tx, lane="interactive", owner="w1")
    second, third = shown(database, ids[1]), shown(database, ids[2], before["seq"])
    assert third["seq"] > before["seq"] and third["job"]["queue_position"] == 2
    assert second["job"]["ahead"] == {"id": ids[0], "name": "number 0"}
    with database.write() as tx:
        jobs.finish(tx, claim, "succeeded")
    assert shown(database, ids[1], second["seq"])["job"]["ahead"] is None


def test_an_iteration_says_what_its_candidates_came_to(database, artifacts):
    record_id = examples.new_session(database)
    with database.write() as tx:
        examples.save(tx, artifacts, record_id, examples.started())
        event = replace(examples.scored(0, 0), total=(0.5, 1.0, 0.0), elites=(0, 1))
        sessions.save_iteration(tx, record_id, event, ["a", "b", "c"])
    row = shown(database, record_id)["iterations"][0]
    told = {name: row[name] for name in ("num_candidates", "finite", "best", "mean", "threshold", "nfe", "seconds")}
    assert told == {
        "num_candidates": 3, "finite": 3, "best": 1.0, "mean": 0.5, "threshold": 0.5, "nfe": 10, "seconds": 0.5,
    }  # fmt: skip
    with database.write() as tx:
        sessions.save_elites(tx, record_id, 0, 0, (2,))
    assert shown(database, record_id)["iterations"][0]["threshold"] == 0.0


def test_an_iteration_without_a_finite_reward_has_no_summary(database):
    record_id = examples.new_session(database)
    event = replace(examples.scored(0, 0), total=(math.nan, math.inf, math.nan), elites=())
    with database.write() as tx:
        sessions.save_iteration(tx, record_id, event, ["a", "b", "c"])
    row = shown(database, record_id)["iterations"][0]
    assert [row[name] for name in ("num_candidates", "finite", "best", "mean", "threshold")] == [3, 0, None, None, None]


def test_equal_rewards_have_exactly_that_mean(database):
    record_id = examples.new_session(database)
    event = replace(examples.scored(0, 0), total=(0.1, 0.1, 0.1))
    with database.write() as tx:
        sessions.save_iteration(tx, record_id, event, ["a", "b", "c"])
    row = shown(database, record_id)["iterations"][0]
    assert row["best"] == row["mean"] == 0.1


@pytest.fixture
def large(database, monkeypatch):
    """A session that counts as large, with two searched steps of two iterations of three candidates."""
    monkeypatch.setattr(views, "DETAILED", 11)
    record_id = examples.new_session(database)
    with database.write() as tx:
        event = replace(examples.started(), searched=(True, True))
        sessions.save_started(tx, record_id, event, "latents")
        for step in (0, 1):
            for iteration in (0, 1):
                scored: IterationScored = examples.scored(step, iteration)
                sessions.save_iteration(tx, record_id, scored, [f"{step}/{iteration}/{i}" for i in range(3)])
    return record_id


def test_a_large_session_shows_its_newest_step_candidate_by_candidate(database, large):
    view = shown(database, large)
    assert view["detail"] == [1]
    assert [[name in row for name in ARRAYS] for row in view["iterations"]] == [[False] * 5] * 2 + [[True] * 5] * 2
    assert view["iterations"][3]["images"] == ["1/1/0", "1/1/1", "1/1/2"]
    with database.read() as tx:
        rows = views.step_view(tx, large, 0)
    assert [row["images"][2] for row in rows] == ["0/0/2", "0/1/2"]
    assert rows[1]["rewards"] == {
        "verifier": [0.1 + 0.2, None, None], "clip": [1 / 3, 0.5, 0.25], "size": [-1.5, -2.5, None],
    }  # fmt: skip


def test_a_small_session_is_shown_candidate_by_candidate_everywhere(database, large, monkeypatch):
    monkeypatch.setattr(views, "DETAILED", 12)
    view = shown(database, large)
    assert view["detail"] == [0, 1] and all(row["images"] for row in view["iterations"])


@pytest.mark.parametrize("step", [2, -1, 10**8])
def test_a_step_without_candidates_is_told(database, large, step):
    with database.read() as tx, pytest.raises(NotFound, match="no candidates at"):
        views.step_view(tx, large, step)


def test_a_reward_that_only_some_candidates_have_stays_in_its_place(database, artifacts):
    record_id = examples.new_session(database)
    with database.write() as tx:
        examples.save(tx, artifacts, record_id, examples.scored(0, 0))
        rewards = examples.metadata.tables["candidate_rewards"]
        tx.execute(sa.delete(rewards).where(rewards.c.candidate == 1, rewards.c.name == "clip"))
    assert shown(database, record_id)["iterations"][0]["rewards"]["clip"] == [1 / 3, None, 0.25]


def test_a_finished_candidate_is_shown_beside_its_guess(database, artifacts):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    before = shown(database, record_id)
    with database.write() as tx:
        job_id = jobs.enqueue(
            tx, kind="finish", record_id=record_id, payload={"step": 0, "iteration": 1, "candidates": [0, 2]}
        )
    queued = shown(database, record_id, before["seq"])
    assert queued["finishing"] == [{"step": 0, "iteration": 1, "candidates": [0, 2]}] and queued["finishes"] == []
    assert (queued["state"], queued["job"]) == ("succeeded", before["job"]), "a roll-out is no job of the session's own"
    with database.write() as tx:
        claim = jobs.claim(tx, lane="interactive", owner="w1")
        assert claim.job_id == job_id
        sessions.save_finish(tx, record_id, rolled_out(0, 1, 2), "true")
    one = shown(database, record_id, queued["seq"])
    assert one["finishing"] == [{"step": 0, "iteration": 1, "candidates": [0]}]
    assert one["finishes"] == [
        {"step": 0, "iteration": 1, "candidate": 2, "image": "true", "total": 0.5, "nfe": 12, "seconds": 0.75}
        | {"rewards": {"verifier": 0.5, "clip": 0.25, "size": None}}
    ]
    assert one["cost"] == before["cost"], "a roll-out is no part of what the session cost"
    with database.write() as tx:
        jobs.finish(tx, claim, "failed", "out of memory")
    failed = shown(database, record_id, one["seq"])
    assert failed["finishing"] == [] and failed["finish_error"] == "out of memory" and failed["state"] == "succeeded"
    assert len(shown(database, record_id)["finishes"]) == 1


def test_only_a_scored_candidate_can_be_finished(database, artifacts):
    record_id = examples.new_session(database)
    with database.write() as tx:
        examples.save(tx, artifacts, record_id, examples.scored(0, 0))
    for place in ((0, 0, 3), (0, 1, 0), (1, 0, 0)):
        with pytest.raises(Exception, match="has no candidate"), database.write() as tx:
            sessions.save_finish(tx, record_id, rolled_out(*place), "true")
