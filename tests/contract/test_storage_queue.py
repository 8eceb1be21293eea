"""The queue as people see and change it, on both databases."""

import pytest
import storage_examples as examples

from core.errors import NotFound, StorageError
from storage import jobs, queue, records, sessions

NOW = 1_000_000.0
ROLL_OUT = {"step": 0, "iteration": 0, "candidates": [0, 1]}


def add(database, kind="explore", prompt="a photo of a star", record_id=None, **settings) -> int:
    record_id = record_id or examples.new_session(database, prompt)
    with database.write() as tx:
        payload = ROLL_OUT if kind == "finish" else {}
        return jobs.enqueue(tx, kind=kind, record_id=record_id, payload=payload, **settings)


def take(database):
    with database.write() as tx:
        return jobs.claim(tx, lane="interactive", owner="w1", now=NOW)


def live(database):
    with database.read() as tx:
        return queue.live_jobs(tx)


def order(database) -> list[int]:
    return [int(job["job_id"]) for job in live(database)]


def move(database, job_id, to):
    with database.write() as tx:
        queue.move(tx, job_id, to)


def test_roll_outs_are_taken_before_sessions(database):
    first, second = add(database), add(database)
    probe = add(database, "finish")
    assert order(database) == [probe, first, second]
    assert [take(database).job_id for _ in range(3)] == [probe, first, second]


def test_what_runs_is_listed_first_and_what_is_paused_last(database):
    ids = [add(database) for _ in range(4)]
    running, paused = take(database), take(database)
    with database.write() as tx:
        jobs.release(tx, paused, "paused")
    assert (running.job_id, paused.job_id) == tuple(ids[:2])
    assert order(database) == [ids[0], ids[2], ids[3], ids[1]]
    told = [(job["state"], job["position"], job["mode"]) for job in live(database)]
    assert told == [
        ("running", None, "run"), ("pending", 1, "run"), ("pending", 2, "run"), ("paused", None, "paused"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("moved", "to", "expected"),
    [(3, 1, [3, 0, 1, 2]), (0, 3, [1, 2, 0, 3]), (0, 99, [1, 2, 3, 0]), (2, 3, [0, 1, 2, 3]), (1, 1, [1, 0, 2, 3])],
)
def test_a_waiting_job_gets_another_place(database, moved, to, expected):
    ids = [add(database) for _ in range(4)]
    move(database, ids[moved], to)
    assert order(database) == [ids[index] for index in expected]
    later = add(database)
    assert [take(database).job_id for _ in range(5)] == [*(ids[index] for index in expected), later]


def test_moving_again_and_again_leaves_no_two_jobs_at_one_place(database):
    ids = [add(database) for _ in range(3)]
    for turn in range(60):
        expected = order(database)
        mover = expected.pop(2 if turn % 2 else 0)
        expected.insert(1, mover)
        move(database, mover, 2)
        assert order(database) == expected
    assert sorted(order(database)) == ids


def test_a_session_is_not_moved_ahead_of_roll_outs(database):
    session, probe, other = add(database), add(database, "finish"), add(database, "finish")
    move(database, session, 1)
    assert order(database) == [probe, other, session]
    move(database, other, 1)
    assert order(database) == [other, probe, session]


def test_only_what_waits_can_be_moved(database):
    add(database)
    running = take(database)
    with pytest.raises(StorageError, match="runs already"):
        move(database, running.job_id, 1)
    with database.write() as tx:
        jobs.release(tx, running, "paused")
    with pytest.raises(StorageError, match="is paused: continue it first"):
        move(database, running.job_id, 1)
    with database.write() as tx:
        jobs.send_command(tx, running.job_id, "cancel")
    with pytest.raises(StorageError, match="has ended"):
        move(database, running.job_id, 1)


def test_a_job_that_comes_back_keeps_its_place(database):
    first, second = add(database), add(database)
    claim = take(database)
    with database.write() as tx:
        jobs.release(tx, claim)
    assert claim.job_id == first and order(database) == [first, second]


def test_lanes_are_counted_apart(database):
    add(database, lane="batch")
    add(database)
    assert [job["position"] for job in live(database)] == [1, 1]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_did_not_succeed_is_tried_again_as_a_new_job(database, artifacts, status):
    add(database)
    claim = take(database)
    with database.write() as tx:
        examples.save(tx, artifacts, claim.record_id, examples.started())
        examples.save(tx, artifacts, claim.record_id, examples.scored(0, 0))
        jobs.append_event(tx, claim, "iteration", 0, 0)
        jobs.finish(tx, claim, status, "no memory" if status == "failed" else None)
    with database.write() as tx:
        again = queue.retry(tx, claim.job_id)
    with database.read() as tx:
        view = sessions.view(tx, claim.record_id)
        assert [event.kind for event in jobs.history(tx, claim.record_id) if event.step is not None] == ["iteration"]
        assert len(sessions.stored_state(tx, claim.record_id).iterations) == 1, "it goes on from what is stored"
    assert (view["state"], view["error"], view["job"]["id"]) == ("pending", None, again)
    assert again != claim.job_id and take(database).job_id == again
    with database.write() as tx, pytest.raises(StorageError, match="has been tried again already"):
        queue.retry(tx, claim.job_id)


def test_what_succeeded_or_goes_on_is_not_tried_again(database):
    job_id = add(database)
    with database.write() as tx, pytest.raises(StorageError, match="has not ended"):
        queue.retry(tx, job_id)
    claim = take(database)
    with database.write() as tx:
        jobs.finish(tx, claim, "succeeded")
    with database.write() as tx, pytest.raises(StorageError, match="nothing to try again"):
        queue.retry(tx, job_id)


def test_a_failed_roll_out_is_tried_again_with_its_candidates(database):
    add(database, "finish")
    claim = take(database)
    with database.write() as tx:
        jobs.finish(tx, claim, "failed", "no")
        queue.retry(tx, claim.job_id)
    again = take(database)
    assert (again.kind, again.payload) == ("finish", ROLL_OUT)


def test_the_newest_ended_jobs_are_listed_without_those_in_the_trash(database):
    ended = []
    for index in range(4):
        add(database, prompt=f"number {index}")
        claim = take(database)
        with database.write() as tx:
            jobs.finish(tx, claim, "failed", f"error {index}")
        ended.append(claim)
    with database.write() as tx:
        records.trash(tx, ended[3].record_id)
    with database.read() as tx:
        listed = queue.ended_jobs(tx, 2)
    assert [(job["prompt"], job["error"], job["state"]) for job in listed] == [
        ("number 2", "error 2", "failed"),
        ("number 1", "error 1", "failed"),
    ]
    assert all(job["ended"].endswith("Z") for job in listed)


def test_an_attempt_knows_what_was_done_before_it(database, artifacts):
    add(database)
    first = take(database)
    with database.write() as tx:
        for event in examples.all_events()[:3]:
            examples.save(tx, artifacts, first.record_id, event)
            jobs.append_event(tx, first, "iteration", 0, 0)
        jobs.release(tx, first)
    with database.write() as tx:
        jobs.claim(tx, lane="interactive", owner="w2", now=NOW + 50)
    (job,) = live(database)
    assert (job["claimed_at"], job["claimed_units"]) == (NOW + 50, 20.0)
    with database.read() as tx:
        assert queue.last_result(tx, first.job_id) is not None


@pytest.mark.parametrize("unknown", ["", "x", "99", "-1", "1e3", "9" * 400, "\0", "１", None])
def test_an_unknown_job_is_told(database, unknown):
    add(database)
    with database.read() as tx, pytest.raises(NotFound, match="there is no job"):
        queue.find_job(tx, unknown)
