"""The library: what can be listed, changed, thrown away and brought back, on both databases."""

import pytest
import sqlalchemy as sa
import storage_examples as examples

from app.clearing import Sweeper, referenced, sweep
from core.errors import NotFound, StorageError
from storage import counter, jobs, records, sessions
from storage import queue as storage_queue
from storage.tables import candidates, metadata

TABLES = [table.name for table in metadata.sorted_tables]


def change(database, record_id, **values):
    with database.write() as tx:
        records.change_record(tx, record_id, values)


def listed(database, **asked):
    with database.read() as tx:
        return records.list_records(tx, limit=asked.pop("limit", 99), **asked)


def ids(database, **asked):
    return [row["id"] for row in listed(database, **asked)]


def act(database, what, record_id):
    with database.write() as tx:
        return what(tx, record_id)


def test_a_record_is_renamed_starred_noted_and_locked(database):
    record_id = examples.new_session(database)
    with database.read() as tx:
        before = counter.last_seq(tx, record_id)
    change(database, record_id, name="Ä 'name'; --", star=True, note="two\nlines", locked=True)
    row = listed(database)[0]
    assert (row["name"], row["star"], row["note"], row["locked"]) == ("Ä 'name'; --", True, "two\nlines", True)
    with database.read() as tx:
        view = sessions.view(tx, record_id, before)
    assert view["partial"] and (view["name"], view["star"]) == ("Ä 'name'; --", True), "open pages hear of it"
    change(database, record_id, name=None, star=False)
    assert (listed(database)[0]["name"], listed(database)[0]["star"]) == (None, False)
    with pytest.raises(StorageError, match="not config"):
        change(database, record_id, config={})


@pytest.mark.parametrize("what", [records.trash, records.restore, records.erase, records.get_record])
@pytest.mark.parametrize("unknown", ["nothing", "", "../x", "\0", "a' OR '1'='1"])
def test_an_unknown_record_is_told(database, what, unknown):
    with pytest.raises(NotFound, match="there is no"):
        act(database, what, unknown)
    with pytest.raises(NotFound, match="there is no"):
        change(database, unknown, star=True)


def test_the_trash_is_a_list_of_its_own(database):
    kept, thrown = examples.new_session(database), examples.new_session(database)
    act(database, records.trash, thrown)
    act(database, records.trash, thrown)
    assert ids(database) == [kept] and ids(database, trash=True) == [thrown]
    assert listed(database, trash=True)[0]["deleted"] and not listed(database)[0]["deleted"]
    with database.read() as tx:
        assert sessions.view(tx, thrown)["deleted"]
    act(database, records.restore, thrown)
    assert ids(database) == [thrown, kept] and ids(database, trash=True) == []


def test_what_runs_waits_or_is_paused_is_not_thrown_away(database):
    record_id = examples.new_session(database)
    with database.write() as tx:
        job_id = jobs.enqueue(tx, kind="explore", record_id=record_id)
    with pytest.raises(StorageError, match="this session waits in the queue: stop it first"):
        act(database, records.trash, record_id)
    with database.write() as tx:
        claim = jobs.claim(tx, lane="interactive", owner="w1")
    with pytest.raises(StorageError, match="this session is running: stop it first"):
        act(database, records.trash, record_id)
    with database.write() as tx:
        jobs.release(tx, claim, "paused")
    with pytest.raises(StorageError, match="this session is paused: stop it first"):
        act(database, records.trash, record_id)
    with database.write() as tx:
        jobs.send_command(tx, job_id, "cancel")
    act(database, records.trash, record_id)
    with database.write() as tx, pytest.raises(StorageError, match="lies in the trash: restore it first"):
        storage_queue.retry(tx, job_id)


def test_a_roll_out_keeps_its_session_out_of_the_trash(database):
    record_id = examples.new_session(database)
    with database.write() as tx:
        payload = {"step": 0, "iteration": 0, "candidates": [0]}
        jobs.enqueue(tx, kind="finish", record_id=record_id, payload=payload)
    with pytest.raises(StorageError, match="a roll-out of this session waits"):
        act(database, records.trash, record_id)


def test_a_locked_record_stays(database):
    record_id = examples.new_session(database)
    act(database, records.trash, record_id)
    change(database, record_id, locked=True)
    with pytest.raises(StorageError, match="locked: unlock it first"):
        act(database, records.erase, record_id)
    act(database, records.restore, record_id)
    with pytest.raises(StorageError, match="locked: unlock it first"):
        act(database, records.trash, record_id)


def test_only_what_lies_in_the_trash_is_deleted_for_good(database):
    record_id = examples.new_session(database)
    with pytest.raises(StorageError, match="move it there first"):
        act(database, records.erase, record_id)


def test_a_deleted_record_is_found_by_nobody_even_before_its_rows_are_gone(database, artifacts):
    record_id = examples.new_session(database, "a photo of a star")
    examples.record_all(database, artifacts, record_id)
    act(database, records.trash, record_id)
    act(database, records.erase, record_id)
    assert ids(database) == ids(database, trash=True) == []
    for use in (records.restore, records.trash, sessions.view, counter.last_seq, records.get_record):
        with pytest.raises(NotFound):
            act(database, use, record_id)
    with database.read() as tx:
        assert records.erased(tx) == [record_id] and records.ids_that_begin(tx, record_id[:3]) == []


def test_deleting_for_good_frees_what_nobody_else_needs(database, artifacts):
    kept, gone = examples.new_session(database), examples.new_session(database)
    examples.record_all(database, artifacts, gone)
    shared = examples.scored(0, 0)
    with database.write() as tx:
        jobs.enqueue(tx, kind="finish", record_id=gone, payload={"step": 0, "iteration": 0, "candidates": [0]})
        jobs.finish(tx, jobs.claim(tx, lane="interactive", owner="w1"), "succeeded")
        examples.save(tx, artifacts, kept, shared)
    names = referenced(database)
    fresh = artifacts.put(b"on its way to a row", "webp")
    act(database, records.trash, gone)
    act(database, records.erase, gone)
    assert sweep(database, artifacts) == [], "everything is young"
    assert {name: size for name, size in examples.table_sizes(database).items() if size and name != "jobs"} == {
        "records": 1, "sessions": 1, "iterations": 1, "candidates": 3, "candidate_rewards": 9,
    }  # fmt: skip
    left = referenced(database)
    assert len(left) == 3 and left < names
    freed = sweep(database, artifacts, older_than=-1)
    assert set(freed) == (names - left) | {fresh}
    assert all(artifacts.path(name).exists() for name in left)


def test_rows_of_a_large_session_go_in_turns(database, artifacts, monkeypatch):
    monkeypatch.setattr(records, "_ROWS_AT_ONCE", 3)
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    act(database, records.trash, record_id)
    act(database, records.erase, record_id)
    left = []
    more = True
    while more:
        more = act(database, records.remove_rows, record_id)
        with database.read() as tx:
            left.append(tx.scalar(sa.select(sa.func.count()).select_from(candidates)))
    assert left == [3, 0, 0] and not any(examples.table_sizes(database).values())


def test_a_sweep_that_was_cut_short_is_gone_on_with(database, artifacts):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    act(database, records.trash, record_id)
    act(database, records.erase, record_id)
    act(database, records.remove_rows, record_id)
    sweeper = Sweeper(database, artifacts)
    sweeper.request()
    try:
        assert sweeper.wait(60)
    finally:
        sweeper.close()
    assert not any(examples.table_sizes(database).values())


def fill(database):
    """Five records with rewards, names and states that differ."""
    made = {}
    for name, reward, state, star in (
        ("beta", 0.5, "succeeded", True),
        ("Alpha", None, "failed", False),
        (None, 0.9, "succeeded", False),
        ("alpha", 0.5, "running", True),
        ("Östlich", -2.0, "pending", False),
    ):
        made[name] = examples.new_session(database, "a photo of a circle", name=name)
        with database.write() as tx:
            values = {"reward": reward, "state": state, "star": star}
            tx.execute(sa.update(metadata.tables["records"]).where(sa.column("id") == made[name]).values(values))
    return made


@pytest.mark.parametrize("sort", ["newest", "oldest", "reward", "name"])
def test_every_order_goes_on_where_a_page_ended(database, sort):
    fill(database)
    every, pages, last = ids(database, sort=sort), [], None
    while page := ids(database, sort=sort, limit=2, before=last):
        pages += page
        last = page[-1]
    assert pages == every and len(set(every)) == 5


def test_lists_are_sorted_as_asked(database):
    made = fill(database)
    by_reward = [made[name] for name in (None, "alpha", "beta", "Östlich", "Alpha")]
    assert ids(database, sort="reward") == by_reward, "without a reward last; equal ones newest first"
    names = [row["name"] or row["prompt"] for row in listed(database, sort="name")]
    assert names == ["a photo of a circle", "Alpha", "alpha", "beta", "Östlich"]
    assert ids(database, sort="oldest") == ids(database)[::-1]
    with pytest.raises(StorageError, match="expected to be sorted by"):
        ids(database, sort="id; DROP TABLE records")


def test_lists_are_narrowed_as_asked(database):
    made = fill(database)
    assert set(ids(database, star=True)) == {made["beta"], made["alpha"]}
    assert set(ids(database, star=False, state="succeeded")) == {made[None]}
    assert ids(database, text="ÖSTLICH") == [made["Östlich"]]
    assert ids(database, kind="reliability") == ids(database, preset="other") == ids(database, model="x") == []
    assert len(ids(database, kind="session", preset="smart-grpo", model="shapes-sd3")) == 5


def test_the_searchs_reward_is_listed_with_the_record(database, artifacts):
    record_id = examples.new_session(database)
    rewards = []
    for event in examples.all_events():
        with database.write() as tx:
            examples.save(tx, artifacts, record_id, event)
        rewards.append(listed(database)[0]["reward"])
    assert rewards == [None] * 5 + [1.0] * 4
    assert listed(database)[0]["seconds"] == 7.5


def test_a_session_is_found_by_the_beginning_of_its_id(database):
    record_id = examples.new_session(database)
    with database.read() as tx:
        assert records.ids_that_begin(tx, record_id) == records.ids_that_begin(tx, record_id[:5]) == [record_id]
        assert records.ids_that_begin(tx, "%") == records.ids_that_begin(tx, "") == []


def test_a_fact_about_the_lab_is_kept_and_replaced(database):
    with database.read() as tx:
        assert records.mark(tx, "recorded") is None
    for value in ("one", "two"):
        with database.write() as tx:
            records.set_mark(tx, "recorded", value)
    with database.read() as tx:
        assert records.mark(tx, "recorded") == "two"
