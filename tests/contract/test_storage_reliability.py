"""Reliability measurements as they are stored, listed and deleted, on both databases."""

from dataclasses import replace

import pytest
import storage_examples as examples

from core.errors import NotFound, StorageError
from core.events import Cost
from storage import jobs, queue, records, reliability, sessions
from storage.progress import spent_by
from storage.values import number


@pytest.fixture
def measured(database, artifacts):
    record_id = examples.new_measurement(database)
    examples.measure_all(database, artifacts, record_id)
    return record_id


def test_what_was_measured_is_read_as_it_was_but_for_what_is_not_finite(database, measured):
    with database.read() as tx:
        rows = reliability.measured(tx, measured, [2, 3])
        assert reliability.get_config(tx, measured) == examples.MEASURED
        plan = reliability.schedule(tx, measured)
    assert [(one.row, one.step, one.seed) for one in rows] == [(2, 0, 0), (2, 1, 0), (3, 0, 4), (3, 1, 4)]
    assert {one.prompt for one in rows} == {"a photo of a square"}
    event = examples.siblings(2, 1)
    one = rows[1].data
    assert one["truth"]["clip"] == [-1.0, None, 0.5] and one["truth"]["verifier"][2] == 1 / 3
    assert one["proxy"] == {
        name: {key: [number(v) for v in values] for key, values in each.items()} for name, each in event.proxy.items()
    }
    assert one["returned"]["sde"]["elites"] == [0, 2] and one["returned"]["sde"]["averaged"] is None
    assert one["walked"]["clip"] is None and one["ended"]["size"] == 1.0
    assert one["cost"]["5-step"] == {"nfe": 30, "decodes": 3, "reward_calls": 9, "seconds": 0.5}
    assert one["sheet"] == {"columns": 3, "cell": 8}
    assert (rows[1].sigma, rows[1].nfe) == (event.sigma, 48)
    assert plan.sigmas == [1.0, 2 / 3, 1 / 3, 0.0] and plan.finished_at is None


def test_recording_again_replaces(database, artifacts, measured):
    sizes = examples.table_sizes(database)
    examples.measure_all(database, artifacts, measured, rows=(1, 1))
    assert examples.table_sizes(database) == sizes
    with database.read() as tx:
        assert reliability.total_cost(tx, measured) == Cost(8 * 48, 8 * 9, 8 * 27)


def test_a_row_is_done_when_all_its_steps_are_stored(database, artifacts):
    record_id = examples.new_measurement(database)
    with database.read() as tx:
        assert reliability.done_rows(tx, record_id) == frozenset() and reliability.places(tx, record_id) == set()
    examples.measure_all(database, artifacts, record_id, rows=(0, 3))
    with database.write() as tx:
        tx.execute(
            reliability.siblings.delete().where(reliability.siblings.c.row == 3, reliability.siblings.c.step == 1)
        )
    with database.read() as tx:
        assert reliability.done_rows(tx, record_id) == {0}
        assert reliability.places(tx, record_id) == {(0, 0), (0, 1), (3, 0)}


def test_every_stored_step_raises_what_pages_compare(database, artifacts, measured):
    with database.read() as tx:
        before = records.get_record(tx, measured)
        first = reliability.measurement_row(tx, measured).seq
    examples.measure_all(database, artifacts, measured, rows=(0,))
    with database.read() as tx:
        assert reliability.measurement_row(tx, measured).seq == first + 3
        newest = max(row.seq for row in reliability.measured(tx, measured, [0, 1]))
    assert newest == first + 3 and before["picture"] is not None


def test_a_measurement_is_listed_beside_sessions(database, measured):
    session = examples.new_session(database)
    with database.write() as tx:
        reliability.save_finished(tx, measured, {"rho": 0.5, "window": [0.3, 0.6]})
    with database.read() as tx:
        listed = records.list_records(tx, limit=9)
        assert [row["id"] for row in listed] == [session, measured]
        only = records.list_records(tx, limit=9, kind="reliability", sort="cost")
        assert [row["id"] for row in records.list_records(tx, limit=9, sort="cost")] == [measured, session]
        schedules = records.schedules(tx, [session, measured])
        assert spent_by(tx, [measured, session])[measured].nfe == 8 * 48
    assert only[0]["seconds"] == 8.0 and only[0]["state"] == "succeeded"
    assert only[0]["headline"] == {"rho": 0.5, "window": [0.3, 0.6]} and only[0]["name"].endswith("and 1 more")
    assert only[0]["prompt"] == "a photo of two stars" and only[0]["preset"] == "reliability"
    assert schedules[measured][1] == [1.0, 2 / 3, 1 / 3, 0.0] and schedules[session][1] is None


def test_a_name_is_kept_and_one_prompt_needs_none(database):
    named = examples.new_measurement(database, name="of mine")
    alone = examples.new_measurement(database, replace(examples.MEASURED, prompts=("one",)))
    with database.read() as tx:
        assert [records.get_record(tx, one)["name"] for one in (named, alone)] == ["of mine", None]


def test_sessions_and_measurements_are_not_taken_for_each_other(database, artifacts, measured):
    session = examples.new_session(database)
    with database.read() as tx:
        for wrong in (sessions.view, sessions.stored_state, sessions.get_config):
            with pytest.raises(NotFound):
                wrong(tx, measured)
        for wrong in (reliability.get_config, reliability.measurement_row, reliability.done_rows):
            with pytest.raises(NotFound):
                wrong(tx, session)
    sheet = reliability.Sheet("a" * 64 + ".webp", 3, 8)
    with pytest.raises(NotFound), database.write() as tx:
        reliability.save_siblings(tx, session, examples.siblings(0, 0), sheet, sheet)
    with pytest.raises(StorageError, match="alike"), database.write() as tx:
        reliability.save_siblings(tx, measured, examples.siblings(0, 0), sheet, replace(sheet, cell=9))


def test_its_files_are_needed_as_long_as_it_is_there_and_its_rows_go_in_turns(database, artifacts, measured):
    with database.read() as tx:
        names = list(records.artifacts_of(tx, measured))
    assert len(set(names)) == 16
    with database.write() as tx:
        records.trash(tx, measured)
        records.erase(tx, measured)
    turns = 0
    with database.write() as tx:
        while records.remove_rows(tx, measured):
            turns += 1
    assert turns == 4 and not any(examples.table_sizes(database).values())


def test_rows_are_read_in_portions_that_a_short_look_can_read():
    rows = list(range(10))
    assert list(reliability.in_turns(rows, examples.MEASURED)) == [rows]
    large = replace(examples.MEASURED, num_siblings=256)
    portions = list(reliability.in_turns(rows, large))
    assert sum(portions, []) == rows and max(map(len, portions)) == 4
    assert list(reliability.in_turns([], large)) == []


def test_a_job_of_its_own_decides_its_state_and_waits_in_the_batch_lane(database, measured):
    with database.write() as tx:
        job_id = jobs.enqueue(tx, kind=jobs.MEASURE, record_id=measured, lane="batch")
        assert jobs.claim(tx, lane="interactive", owner="w1") is None
        claim = jobs.claim(tx, lane="batch", owner="w2")
        assert claim is not None and claim.job_id == job_id == jobs.latest_job(tx, measured)
        assert records.get_record(tx, measured)["state"] == "running"
        (shown,) = queue.live_jobs(tx)
        assert (shown["kind"], shown["claimed_units"]) == ("measure", 8 * 48)
        with pytest.raises(StorageError, match="this measurement is running"):
            records.trash(tx, measured)
        jobs.finish(tx, claim, "failed", "no such model")
        again = queue.retry(tx, job_id)
        assert jobs.latest_job(tx, measured) == again and records.get_record(tx, measured)["state"] == "pending"


def test_the_newest_finished_of_a_model(database, artifacts, measured):
    second = examples.new_measurement(database)
    with database.write() as tx:
        for one in (measured, second):
            reliability.save_finished(tx, one, {})
    with database.read() as tx:
        found = reliability.newest_finished(tx, examples.MEASURED.base.model)
        assert [row.id for row in found] == [second, measured]
        assert reliability.newest_finished(tx, "another") == []
    with database.write() as tx:
        records.trash(tx, second)
        assert [row.id for row in reliability.newest_finished(tx, examples.MEASURED.base.model)] == [measured]
