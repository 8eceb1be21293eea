"""Several processes and threads at one database."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import storage_crowd as crowd
import storage_examples as examples

from storage import jobs, records, sessions
from storage.engine import head_revision


@pytest.fixture(scope="module")
def processes():
    """Four fresh processes, as four workers would be."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def enqueue(database, count):
    ids = []
    for _ in range(count):
        record_id = examples.new_session(database)
        with database.write() as tx:
            ids.append(jobs.enqueue(tx, kind="explore", record_id=record_id))
    return ids


def test_four_processes_read_then_write_without_lock_errors(database, address, processes):
    record_id = examples.new_session(database)
    results = [processes.submit(crowd.count_up, address, record_id, 1.5) for _ in range(4)]
    done, failed = (sum(values) for values in zip(*(result.result() for result in results), strict=True))
    assert failed == 0 and done >= 4
    with database.read() as tx:
        assert records.list_records(tx, limit=1)[0]["note"] == str(done)


def test_processes_share_the_jobs_without_having_any_twice(database, address, processes):
    ids = enqueue(database, 24)
    taken = [processes.submit(crowd.take_all, address, f"worker-{index}") for index in range(4)]
    assert sorted(job_id for result in taken for job_id in result.result()) == ids


def test_threads_share_the_jobs_without_having_any_twice(database):
    ids = enqueue(database, 24)

    def take(index):
        mine = []
        while True:
            with database.write() as tx:
                claim = jobs.claim(tx, lane="interactive", owner=f"thread-{index}")
            if claim is None:
                return mine
            mine.append(claim.job_id)

    with ThreadPoolExecutor(12) as pool:
        assert sorted(job_id for mine in pool.map(take, range(12)) for job_id in mine) == ids


def test_an_expired_lease_goes_to_one_of_many(database):
    enqueue(database, 1)
    with database.write() as tx:
        jobs.claim(tx, lane="interactive", owner="dead", now=1000.0)

    def take(index):
        with database.write() as tx:
            return jobs.claim(tx, lane="interactive", owner=f"thread-{index}", now=1031.0)

    with ThreadPoolExecutor(8) as pool:
        claims = [claim for claim in pool.map(take, range(8)) if claim]
    assert [claim.attempt for claim in claims] == [2]


def test_events_of_many_writers_get_each_a_number(database):
    (job_id,) = enqueue(database, 1)

    def append(index):
        with database.write() as tx:
            return jobs.append_event(tx, job_id, "note", index)

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(append, range(40)))
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + 40))


def test_a_writer_is_not_seen_before_it_commits(database):
    record_id = examples.new_session(database)
    with database.write() as tx:
        sessions.set_state(tx, record_id, "running")
        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(lambda: _state(database, record_id)).result(20)
    assert seen == "pending" and _state(database, record_id) == "running"


def test_processes_may_migrate_a_new_database_at_once(tmp_path, empty_postgres, processes):
    for address in (str(tmp_path / "new" / "lab.sqlite"), empty_postgres):
        results = [processes.submit(crowd.migrate, address) for _ in range(4)]
        assert {result.result() for result in results} == {head_revision()}


def _state(database, record_id):
    with database.read() as tx:
        return sessions.view(tx, record_id)["state"]
