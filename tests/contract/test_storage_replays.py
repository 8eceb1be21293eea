"""What records were made on, and checks that compute them once more."""

import pytest
import storage_examples as examples

from core.errors import NotFound
from storage import jobs, replays
from storage.counter import last_seq

HERE = {"lab": "1", "packages": {"torch": "2.12.1"}}
LATER = {"lab": "1", "packages": {"torch": "2.13.0"}}


def test_what_a_record_was_made_on_is_noted_whenever_it_changed(database):
    record_id = examples.new_session(database)
    with database.write() as tx:
        assert replays.origin_of(tx, record_id) == []
        for environment in (HERE, HERE, LATER):
            replays.keep_origin(tx, record_id, environment)
        assert replays.origin_of(tx, record_id) == [HERE, LATER]
        with pytest.raises(NotFound):
            replays.keep_origin(tx, "../etc", HERE)


def test_a_fine_tune_is_made_on_what_its_trainer_said(database, artifacts):
    record_id = examples.new_run(database)
    examples.train_all(database, artifacts, record_id)
    with database.read() as tx:
        assert replays.origin_of(tx, record_id) == [{"python": "3.11"}]


def test_a_record_was_made_on_the_machine_noted_last(database):
    here, there = {"platform": "Linux-6", "cores": 2}, {"platform": "Linux-6", "cores": 16}
    record_id = examples.new_session(database)
    with database.write() as tx:
        assert replays.made_on(tx, record_id, here), "nothing else was noted"
        replays.keep_origin(tx, record_id, HERE | there)
        assert not replays.made_on(tx, record_id, here)
        replays.keep_origin(tx, record_id, LATER | here)
        assert replays.made_on(tx, record_id, here) and not replays.made_on(tx, record_id, there)


def test_the_newest_check_is_told_with_its_job(database):
    record_id = examples.new_session(database)
    with database.write() as tx:
        assert replays.latest_replay(tx, record_id) is None
        first = replays.new_replay(tx, record_id)
        replays.save_replay(tx, record_id, first, result={"verdict": "identical"})
        assert replays.latest_replay(tx, record_id) == {
            "number": 1, "result": {"verdict": "identical"}, "status": None, "error": None,
        }  # fmt: skip
        before, second = last_seq(tx, record_id), replays.new_replay(tx, record_id)
        job_id = jobs.enqueue(tx, kind=jobs.REPLAY, record_id=record_id, payload={"replay": second})
        replays.save_replay(tx, record_id, second, job_id=job_id)
        told = replays.latest_replay(tx, record_id)
        assert (told["number"], told["result"], told["status"]) == (2, None, "pending")
        assert last_seq(tx, record_id) > before, "a page that follows the record hears of it"
