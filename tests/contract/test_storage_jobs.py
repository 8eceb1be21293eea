"""The queue: leases, fencing, commands and events, on both databases."""

import math

import pytest
import storage_examples as examples

from core.errors import StorageError
from storage import counter, jobs, records, sessions
from storage import queue as storage_queue

NOW = 1_000_000.0


@pytest.fixture
def queue(database):
    """Makes jobs: `queue()` enqueues one for a new session and returns its id."""

    def enqueue(**settings) -> int:
        record_id = examples.new_session(database)
        with database.write() as tx:
            return jobs.enqueue(tx, kind="explore", record_id=record_id, **settings)

    return enqueue


def take(database, now=NOW, owner="w1", lane="interactive"):
    with database.write() as tx:
        return jobs.claim(tx, lane=lane, owner=owner, now=now)


def shown(database, record_id):
    with database.read() as tx:
        return sessions.view(tx, record_id)


def test_jobs_are_claimed_oldest_first_and_in_their_lane(database, queue):
    first, batch, second = queue(payload={"probe": [1, None]}), queue(lane="batch"), queue()
    claim = take(database)
    assert (claim.job_id, claim.attempt, claim.owner, claim.payload) == (first, 1, "w1", {"probe": [1, None]})
    assert shown(database, claim.record_id)["state"] == "running"
    assert take(database).job_id == second and take(database) is None
    assert take(database, lane="batch").job_id == batch


def test_looking_finds_what_claiming_would_take(database, queue):
    def waiting(now):
        with database.read() as tx:
            return jobs.waiting(tx, lane="interactive", now=now)

    assert not waiting(NOW)
    queue()
    assert waiting(NOW)
    take(database)
    assert not waiting(NOW + 30) and waiting(NOW + 30.1)


def test_a_queued_job_knows_its_place(database, queue):
    ids = [queue() for _ in range(3)]
    queue(lane="batch")
    take(database)
    with database.read() as tx:
        rows = records.list_records(tx, limit=9)
        places = {job["id"]: job["queue_position"] for row in rows if (job := storage_queue.job_view(tx, row["id"]))}
    assert [places[job_id] for job_id in ids] == [None, 1, 2]


def test_a_lease_that_runs_out_gives_the_job_to_the_next(database, queue):
    queue()
    old = take(database)
    assert take(database, NOW + 29) is None
    new = take(database, NOW + 31, "w2")
    assert (new.job_id, new.attempt, new.owner) == (old.job_id, 2, "w2")


def test_a_renewed_lease_is_kept(database, queue):
    queue()
    claim = take(database)
    with database.write() as tx:
        jobs.renew(tx, claim, NOW + 25)
    assert take(database, NOW + 54) is None
    assert take(database, NOW + 56).attempt == 2


@pytest.mark.parametrize(
    "write",
    [
        lambda tx, claim: jobs.check_fence(tx, claim),
        lambda tx, claim: jobs.renew(tx, claim, NOW + 32),
        lambda tx, claim: jobs.release(tx, claim),
        lambda tx, claim: jobs.finish(tx, claim, "succeeded"),
        lambda tx, claim: jobs.append_event(tx, claim, "step", 0),
    ],
    ids=["check", "renew", "release", "finish", "event"],
)
def test_an_older_attempt_can_write_nothing(database, queue, write):
    queue()
    old = take(database)
    new = take(database, NOW + 31)  # even by the same owner
    before = shown(database, old.record_id)
    with pytest.raises(jobs.StaleClaim, match="attempt 1 at job"), database.write() as tx:
        write(tx, old)
    assert shown(database, old.record_id) == before
    with database.write() as tx:
        jobs.check_fence(tx, new)


def test_a_refused_recording_is_rolled_back_as_a_whole(database, artifacts, queue):
    queue()
    old = take(database)
    take(database, NOW + 31, "w2")
    with pytest.raises(jobs.StaleClaim), database.write() as tx:
        examples.save(tx, artifacts, old.record_id, examples.scored(0, 0))
        jobs.append_event(tx, old, "iteration", 0, 0)
    assert shown(database, old.record_id)["iterations"] == []


def test_a_job_that_has_ended_is_nobodys(database, queue):
    queue()
    claim = take(database)
    with database.write() as tx:
        jobs.finish(tx, claim, "failed", "out of memory\0")
    with pytest.raises(jobs.StaleClaim), database.write() as tx:
        jobs.check_fence(tx, claim)
    view = shown(database, claim.record_id)
    assert view["state"] == view["job"]["status"] == "failed"
    assert view["error"] == view["job"]["error"] == "out of memory\ufffd"
    assert take(database, NOW + 99) is None


def test_a_released_job_is_free_at_once(database, queue):
    queue()
    old = take(database)
    with database.write() as tx:
        jobs.release(tx, old)
    assert shown(database, old.record_id)["state"] == "pending"
    assert take(database, NOW + 1, "w2").attempt == 2


def test_a_job_that_kills_its_workers_is_failed_in_the_end(database, queue):
    bad, good = queue(), queue()
    now = NOW
    for attempt in range(1, jobs.MAX_LOST + 1):
        claim = take(database, now)
        assert (claim.job_id, claim.attempt) == (bad, attempt)
        now += 31
    assert take(database, now).job_id == good
    assert "died 10 times" in shown(database, claim.record_id)["error"]


def test_a_job_that_gets_on_may_lose_any_number_of_workers(database, queue):
    queue()
    for attempt in range(1, 3 * jobs.MAX_LOST):
        claim = take(database, NOW + 31 * attempt)
        assert claim.attempt == attempt
        with database.write() as tx:
            jobs.append_event(tx, claim, "step", attempt)


def test_a_record_has_one_unfinished_job(database, queue):
    queue()
    claim = take(database)
    with pytest.raises(StorageError, match="this session waits or runs already"), database.write() as tx:
        jobs.enqueue(tx, kind="explore", record_id=claim.record_id)
    with database.write() as tx:
        jobs.finish(tx, claim, "failed", "no")
        again = jobs.enqueue(tx, kind="explore", record_id=claim.record_id)
    view = shown(database, claim.record_id)
    assert (view["state"], view["error"], view["job"]["id"]) == ("pending", None, again)


def test_events_are_numbered_without_gaps_and_read_from_a_cursor(database, queue):
    job_id = queue()
    claim = take(database)
    with database.write() as tx:
        seqs = [jobs.append_event(tx, claim, "iteration", 4, 0), jobs.append_event(tx, claim, "step", 4)]
        seqs.append(jobs.append_event(tx, job_id, "note"))
    with database.read() as tx:
        every, later = jobs.events_after(tx, job_id, 0), jobs.events_after(tx, job_id, seqs[0])
        assert counter.last_seq(tx, claim.record_id) == sessions.view(tx, claim.record_id)["seq"] > 0
    assert [event.seq for event in every] == list(range(1, seqs[-1] + 1))
    assert [(one.kind, one.step, one.iteration) for one in every[-3:]] == [
        ("iteration", 4, 0),
        ("step", 4, None),
        ("note", None, None),
    ]
    assert later == every[-2:]


def test_all_that_a_page_shows_of_a_job_moves_the_cursor(database, queue):
    job_id = queue()
    record_id = None
    seqs = []

    def note():
        with database.read() as tx:
            seqs.append(counter.last_seq(tx, record_id))

    claim = take(database)
    record_id = claim.record_id
    note()
    with database.write() as tx:
        command = jobs.send_command(tx, job_id, "pause")
    note()
    with database.write() as tx:
        jobs.consume(tx, command, "not now")
    note()
    with database.write() as tx:
        jobs.release(tx, claim, "paused")
    note()
    with database.write() as tx:
        jobs.send_command(tx, job_id, "continue")
    note()
    assert seqs == sorted(set(seqs))


def test_commands_come_in_order_but_cancel_first(database, queue):
    job_id = queue()
    take(database)
    with database.write() as tx:
        jobs.send_command(tx, job_id, "pause")
        jobs.send_command(tx, job_id, "elites", {"elites": [2, 0]}, expected_step=3, expected_iteration=1)
        jobs.send_command(tx, job_id, "continue")
        jobs.send_command(tx, job_id, "cancel", now=NOW)
    with database.read() as tx:
        commands = jobs.pending_commands(tx, job_id)
    assert [one.kind for one in commands] == ["cancel", "pause", "elites", "continue"]
    assert [one.seq for one in commands] == [4, 1, 2, 3]
    chosen = commands[2]
    assert (chosen.payload, chosen.expected_step, chosen.expected_iteration) == ({"elites": [2, 0]}, 3, 1)


def test_a_stale_command_is_consumed_with_the_reason_shown(database, queue):
    job_id = queue()
    claim = take(database)
    with database.write() as tx:
        command_id = jobs.send_command(tx, job_id, "elites", {"elites": [0]}, 1, 0)
    with database.write() as tx:
        jobs.consume(tx, command_id, "elites was meant for step 2; the session is already at step 3")
        jobs.consume(tx, command_id)  # a second time changes nothing
        assert jobs.pending_commands(tx, job_id) == []
    assert "already at step 3" in shown(database, claim.record_id)["job"]["refusal"]
    with database.write() as tx:
        jobs.consume(tx, jobs.send_command(tx, job_id, "pause"))
    assert shown(database, claim.record_id)["job"]["refusal"] is None


@pytest.mark.parametrize(
    ("sent", "mode"),
    [
        ([], "run"),
        (["pause"], "pausing"),
        (["pause", "continue"], "run"),
        (["pause", "step"], "stepping"),
        (["elites"], "run"),
    ],
)
def test_the_mode_of_a_running_job_is_what_was_asked_last(database, queue, sent, mode):
    job_id = queue()
    claim = take(database)
    with database.write() as tx:
        for kind in sent:
            jobs.send_command(tx, job_id, kind)
    assert shown(database, claim.record_id)["job"]["mode"] == mode


def test_a_paused_job_rests_until_it_is_woken(database, queue):
    job_id = queue()
    claim = take(database)
    with database.write() as tx:
        jobs.release(tx, claim, "paused")
    assert shown(database, claim.record_id)["job"]["mode"] == "paused"
    assert take(database, NOW + 99) is None
    with database.write() as tx:
        jobs.send_command(tx, job_id, "elites", {"elites": [1]})
    assert take(database, NOW + 99) is None  # chosen elites wait with it
    with database.write() as tx:
        jobs.send_command(tx, job_id, "step")
    view = shown(database, claim.record_id)
    assert (view["state"], view["job"]["mode"]) == ("pending", "stepping")
    again = take(database, NOW + 99)
    assert again.attempt == 2
    with database.read() as tx:
        assert [one.kind for one in jobs.pending_commands(tx, job_id)] == ["elites", "step"]


def test_pausing_a_waiting_job_pauses_it_there(database, queue):
    job_id = queue()
    with database.write() as tx:
        jobs.send_command(tx, job_id, "pause")
        jobs.send_command(tx, job_id, "step")
        jobs.send_command(tx, job_id, "pause")
        assert jobs.pending_commands(tx, job_id) == []
    assert take(database) is None


@pytest.mark.parametrize("where", ["waiting", "paused", "lost"])
def test_cancel_needs_no_worker(database, queue, where):
    job_id = queue()
    if where != "waiting":
        claim = take(database)
    if where == "paused":
        with database.write() as tx:
            jobs.release(tx, claim, "paused")
            jobs.send_command(tx, job_id, "elites")
    with database.write() as tx:
        jobs.send_command(tx, job_id, "cancel", now=NOW + 31)
        assert jobs.pending_commands(tx, job_id) == []
    with database.read() as tx:
        listed = records.list_records(tx, limit=1)[0]
        job = storage_queue.job_view(tx, listed["id"])
    assert listed["state"] == job["status"] == "cancelled" and job["refusal"] is None
    assert take(database) is None


def test_a_running_job_is_cancelled_by_its_worker(database, queue):
    job_id = queue()
    claim = take(database)
    with database.write() as tx:
        jobs.send_command(tx, job_id, "pause")
        jobs.send_command(tx, job_id, "cancel", now=NOW + 29)
    assert shown(database, claim.record_id)["state"] == "running"
    with database.write() as tx:
        jobs.finish(tx, claim, "cancelled")
    view = shown(database, claim.record_id)
    assert view["state"] == "cancelled" and view["job"]["refusal"] is None


def test_commands_to_a_job_that_has_ended_are_refused(database, queue):
    job_id = queue()
    claim = take(database)
    with database.write() as tx:
        jobs.send_command(tx, job_id, "pause")
        jobs.finish(tx, claim, "succeeded")
    assert "ended (succeeded) before" in shown(database, claim.record_id)["job"]["refusal"]
    for kind in jobs.COMMANDS:
        with database.write() as tx:
            jobs.send_command(tx, job_id, kind)
            assert jobs.pending_commands(tx, job_id) == []
        view = shown(database, claim.record_id)
        assert view["job"]["refusal"] == "the job has already ended (succeeded)" and view["state"] == "succeeded"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "pause", "expected_step": -2},
        {"kind": "pause", "expected_step": 2**70},
        {"kind": "pause", "expected_iteration": 1.5},
        {"kind": "pause", "expected_iteration": True},
        {"kind": "elites", "payload": {"elites": [math.nan]}},
        {"kind": "elites", "payload": {"elites": {1, 2}}},
    ],
)
def test_a_malformed_command_is_refused_with_what_was_expected(database, queue, wrong):
    job_id = queue()
    with pytest.raises(StorageError, match="expected to be"), database.write() as tx:
        jobs.send_command(tx, job_id, **wrong)


def test_a_job_that_is_not_there_is_an_error_that_says_so(database):
    for use in (lambda tx: jobs.send_command(tx, 99, "pause"), lambda tx: jobs.append_event(tx, 99, "step")):
        with pytest.raises(StorageError, match="there is no job 99"), database.write() as tx:
            use(tx)


def test_jobs_end_and_rest_only_in_known_states(database, queue):
    queue()
    claim = take(database)
    with database.write() as tx, pytest.raises(StorageError, match="succeeded, failed, cancelled"):
        jobs.finish(tx, claim, "paused")
    with database.write() as tx, pytest.raises(StorageError, match="pending or paused"):
        jobs.release(tx, claim, "succeeded")


def test_a_worker_seen_to_die_is_not_waited_for(database, queue):
    queue(), queue()
    dead, alive = take(database, owner="dead"), take(database, owner="alive")
    with database.write() as tx:
        assert jobs.expire(tx, "dead") == 1
    assert take(database, owner="next").job_id == dead.job_id
    assert take(database, owner="next") is None
    with database.write() as tx:
        jobs.check_fence(tx, alive)
