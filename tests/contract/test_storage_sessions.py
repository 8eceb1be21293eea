"""Sessions: what is recorded is what is shown and what a run resumes from, on both databases."""

import json
import math

import numpy as np
import pytest
import sqlalchemy as sa
import storage_examples as examples

from app.clearing import referenced
from core.config import ExploreConfig, config_hash, to_dict
from core.errors import StorageError
from core.events import Cost, IterationState
from storage import jobs, sessions
from storage import records as library
from storage.tables import candidate_rewards, candidates, records

HOSTILE = (
    "'; DROP TABLE records; --",
    '<script>alert("x")</script><img src=x onerror=alert(1)>',
    "100%_\\%% :name ${value} {{value}} ?1",
    "zwölf 🟥 kreise\u202e \u0000"[:-1],
    "line\r\n\ttabs\x01\x7f",
    '{"json": null} NaN',
)


def test_a_new_session_has_a_record_with_its_config(database):
    record_id = examples.new_session(database, name="first")
    assert record_id.isalnum() and record_id == record_id.lower() and len(record_id) <= 24
    with database.read() as tx:
        row = tx.execute(sa.select(records).where(records.c.id == record_id)).one()
        assert sessions.get_config(tx, record_id) == examples.CONFIG
        shown = sessions.view(tx, record_id)
    assert (row.kind, row.name, row.preset, row.model) == ("session", "first", "smart-grpo", "shapes-sd3")
    assert row.config_hash == config_hash(examples.CONFIG)
    assert shown["state"] == "pending" and shown["job"] is None and shown["seq"] == 0
    assert shown["steps"] == shown["iterations"] == shown["arms"] == shown["sigmas"] == []


def test_view_is_plain_json_with_null_for_what_is_not_finite(database, artifacts):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    with database.read() as tx:
        shown = sessions.view(tx, record_id)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert set(shown) == {
        *("id", "name", "kind", "prompt", "preset", "model", "state", "error", "created", "config"),
        *("star", "note", "locked", "deleted", "parent", "partial", "detail", "finishes", "finishing", "finish_error"),
        *("sigmas", "searched", "step_std", "excess_std", "steps", "iterations", "arms", "cost", "job", "seq"),
    }
    assert shown["config"] == to_dict(examples.CONFIG) and shown["state"] == "succeeded"
    assert shown["created"].endswith("Z") and shown["created"][10] == "T"
    assert shown["sigmas"] == [1.0, 0.6, 0.0] and shown["searched"] == [True, False]
    assert shown["excess_std"] == [0.1, None]
    first = shown["iterations"][0]
    event = examples.scored(0, 0)
    assert first["rewards"] == {
        "verifier": [0.1, None, None],
        "clip": [1 / 3, 0.5, 0.25],
        "size": [-1.5, -2.5, None],
    }
    assert list(first["rewards"]) == ["verifier", "clip", "size"]
    assert first["total"] == [event.total[0], None, None]
    assert first["elites"] == [0, 2] and first["kurtosis"] == [3.0, None, 2.9] and first["cosine"] is None
    assert first["norms"] == list(event.norms) and first["std_quantiles"] == list(event.std_quantiles)
    assert len(first["images"]) == 3 and all(artifacts.path(name).exists() for name in first["images"])
    assert [(row["step"], row["iteration"]) for row in shown["iterations"]] == [(0, 0), (0, 1)]
    assert [row["step"] for row in shown["steps"]] == [0, 1]
    assert shown["steps"][0]["rewards"] == {"verifier": 0.5, "clip": 0.1, "size": None}
    assert [row["arm"] for row in shown["arms"]] == ["search", "ode", "no_search"]
    assert shown["arms"][1]["rewards"]["clip"] is None and shown["arms"][1]["trail"] == [0.2, None]
    assert shown["cost"] == {"nfe": 58, "decodes": 27, "reward_calls": 27, "seconds": 7.5}


def test_a_number_that_is_not_finite_is_told_from_one_that_is_absent(database, artifacts):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    with database.read() as tx:
        flags = tx.execute(sa.select(candidates.c.total, candidates.c.finite)).all()
        rewards = tx.execute(sa.select(candidate_rewards.c.value, candidate_rewards.c.finite)).all()
    assert len(flags) == 6 and len(rewards) == 18
    assert all((value is not None) == finite for value, finite in (*flags, *rewards))
    assert sum(not finite for _, finite in rewards) == 6


def test_recording_again_after_a_resume_changes_nothing(database, artifacts):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    with database.read() as tx:
        before, state = sessions.view(tx, record_id), sessions.stored_state(tx, record_id)
    sizes = examples.table_sizes(database)
    for _ in range(2):
        examples.record_all(database, artifacts, record_id)
    with database.read() as tx:
        after = sessions.view(tx, record_id)
        assert after.pop("seq") > before.pop("seq") and after == before
        assert repr(sessions.stored_state(tx, record_id)) == repr(state)
    assert examples.table_sizes(database) == sizes


def test_the_stored_state_grows_with_the_session(database, artifacts):
    record_id = examples.new_session(database)
    events = examples.all_events()
    states, shown_costs = [], []
    for event in events:
        with database.write() as tx:
            examples.save(tx, artifacts, record_id, event)
        with database.read() as tx:
            states.append(sessions.stored_state(tx, record_id))
            shown_costs.append(sessions.view(tx, record_id)["cost"]["nfe"])
    assert [len(state.committed) for state in states] == [0, 0, 0, 1, 2, 2, 2, 2, 2]
    assert [len(state.iterations) for state in states] == [0, 1, 2, 0, 0, 0, 0, 0, 0]
    assert [state.arms for state in states[-4:]] == [
        ("search",),
        ("search", "ode"),
        ("search", "ode", "no_search"),
        ("search", "ode", "no_search"),
    ]
    assert [state.finished for state in states] == [False] * 8 + [True]
    under_way = states[2].iterations[1]
    assert isinstance(under_way, IterationState) and under_way.elites == (0, 2)
    assert under_way.total[0] == examples.scored(0, 1).total[0] and math.isnan(under_way.total[1])
    assert [state.cost.nfe for state in states] == [0, 10, 20, 25, 45, 45, 45, 45, 45]
    assert [state.arms_cost.nfe for state in states[-4:]] == [0, 4, 8, 8]
    assert states[-1].cost == Cost(45, 7, 7) and states[-1].arms_cost == Cost(8, 18, 18)
    assert shown_costs == [0, 10, 20, 25, 45, 45, 49, 53, 58]
    # The weighted sums of the steps' rewards, in the config's order; a watched reward that is NaN does not matter.
    assert states[-1].trail == (0.5 + 0.5 * 0.1, 1.5 + 0.5 * 0.1)


def test_arrays_come_back_bit_for_bit(database, artifacts):
    record_id = examples.new_session(database)
    examples.record_all(database, artifacts, record_id)
    with database.read() as tx:
        state = sessions.stored_state(tx, record_id)
    for step, name in enumerate(state.committed):
        loaded = artifacts.get_tensor(name)
        assert loaded.dtype == np.float32 and loaded.shape == (1, *examples.SHAPE)
        assert loaded.tobytes() == examples.latents(1 + step).tobytes()
    assert artifacts.get_tensor(state.latents).tobytes() == examples.latents(0).tobytes()


def test_elites_chosen_by_a_person_are_what_a_resume_goes_on_with(database, artifacts):
    record_id = examples.new_session(database)
    with database.write() as tx:
        examples.save(tx, artifacts, record_id, examples.started())
        examples.save(tx, artifacts, record_id, examples.scored(0, 0))
        sessions.save_elites(tx, record_id, 0, 0, (1,))
    with database.read() as tx:
        assert sessions.stored_state(tx, record_id).iterations[0].elites == (1,)
        assert sessions.view(tx, record_id)["iterations"][0]["elites"] == [1]


@pytest.mark.parametrize("elites", [(), (3,), (-1,), (1, 1)])
def test_elites_must_be_candidates(database, artifacts, elites):
    record_id = examples.new_session(database)
    with database.write() as tx:
        examples.save(tx, artifacts, record_id, examples.scored(0, 0))
    with database.write() as tx, pytest.raises(StorageError, match="0 to 2, each once"):
        sessions.save_elites(tx, record_id, 0, 0, elites)
    with database.write() as tx, pytest.raises(StorageError, match="no iteration 7"):
        sessions.save_elites(tx, record_id, 0, 7, (0,))


def test_a_picture_is_needed_for_each_candidate(database):
    record_id = examples.new_session(database)
    with database.write() as tx, pytest.raises(StorageError, match="expected 3 pictures"):
        sessions.save_iteration(tx, record_id, examples.scored(0, 0), ["a"])


@pytest.mark.parametrize("unknown", ["nothing", "", "../../etc/passwd", "\0", "x" * 5000, "é", "a' OR '1'='1"])
def test_an_unknown_session_is_an_error_that_says_so(database, artifacts, unknown):
    for save in (
        lambda tx: sessions.view(tx, unknown),
        lambda tx: sessions.stored_state(tx, unknown),
        lambda tx: sessions.get_config(tx, unknown),
        lambda tx: library.list_records(tx, limit=3, before=unknown),
        lambda tx: sessions.set_state(tx, unknown, "running"),
        lambda tx: jobs.enqueue(tx, kind="explore", record_id=unknown),
        *(lambda tx, event=event: examples.save(tx, artifacts, unknown, event) for event in examples.all_events()),
    ):
        with pytest.raises(StorageError, match="there is no"), database.write() as tx:
            save(tx)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_kept_and_found_as_it_is(database, text):
    examples.new_session(database, "a photo of something else")
    record_id = examples.new_session(database, text, name=text)
    with database.write() as tx:
        sessions.set_state(tx, record_id, "failed", text)
    with database.read() as tx:
        shown = sessions.view(tx, record_id)
        found = library.list_records(tx, limit=9, text=text)
    assert shown["prompt"] == shown["name"] == shown["error"] == shown["config"]["prompt"] == text
    assert [row["id"] for row in found] == [record_id] and found[0]["prompt"] == text


def test_what_no_database_can_hold_is_replaced_not_refused(database):
    record_id = examples.new_session(database, name="a\0b\ud83dc")
    with database.write() as tx:
        sessions.set_state(tx, record_id, "failed", "worker said \0")
    with database.read() as tx:
        shown = sessions.view(tx, record_id)
        assert library.list_records(tx, limit=9, text="\0\ud800") == []
    assert shown["name"] == "a\ufffdb\ufffdc" and shown["error"] == "worker said \ufffd"


def test_a_state_must_be_one_of_the_known(database):
    record_id = examples.new_session(database)
    with database.write() as tx, pytest.raises(StorageError, match="expected to be one of"):
        sessions.set_state(tx, record_id, "asleep")


def test_lists_are_newest_first_and_go_on_where_a_page_ended(database):
    ids = [examples.new_session(database, f"a photo of number {index}") for index in range(7)]
    with database.write() as tx:  # all in the same instant: pages must not repeat or lose any
        tx.execute(sa.update(records).where(records.c.id.in_(ids[:5])).values(created_at=1000.25))
    with database.read() as tx:
        every = [row["id"] for row in library.list_records(tx, limit=100)]
        pages, last = [], None
        while page := library.list_records(tx, limit=2, before=last):
            pages += [row["id"] for row in page]
            last = page[-1]["id"]
        created = library.list_records(tx, limit=100)[-1]["created"]
    assert every[:2] == [ids[6], ids[5]] and pages == every and sorted(every) == sorted(ids)
    assert created == "1970-01-01T00:16:40.250Z"


def test_lists_are_searched_without_regard_to_case(database):
    wanted = examples.new_session(database, "a photo of a GRÜNER circle")
    examples.new_session(database, "a photo of a star")
    with database.read() as tx:
        for text in ("grüner", "GRÜNER CIRCLE", " Grüner "):
            assert [row["id"] for row in library.list_records(tx, limit=9, text=text)] == [wanted]
        assert len(library.list_records(tx, limit=9, text="")) == 2
        assert library.list_records(tx, limit=9, text="%") == []
        assert library.list_records(tx, limit=9, text="phot_") == []


def test_deleted_records_are_not_listed(database):
    record_id = examples.new_session(database)
    with database.write() as tx:
        tx.execute(sa.update(records).values(deleted_at=5.0))
    with database.read() as tx:
        assert library.list_records(tx, limit=9) == []
        assert sessions.view(tx, record_id)["id"] == record_id


def test_the_list_shows_picture_and_headline_as_they_come(database, artifacts):
    record_id = examples.new_session(database)
    seen = []
    for event in examples.all_events():
        with database.write() as tx:
            examples.save(tx, artifacts, record_id, event)
        with database.read() as tx:
            seen.append(library.list_records(tx, limit=1)[0])
    assert seen[2]["picture"] is None and seen[3]["picture"] != seen[4]["picture"] != seen[5]["picture"]
    assert seen[8]["picture"] == seen[5]["picture"]
    assert seen[5]["headline"] == {"search": 1.0}
    assert seen[8]["headline"] == {"search": 1.0, "ode": None, "no_search": 1.0}


def test_a_parent_that_goes_leaves_its_child(database):
    parent = examples.new_session(database)
    child = examples.new_session(database, parent=parent)
    with database.write() as tx:
        tx.execute(sa.delete(records).where(records.c.id == parent))
    with database.read() as tx:
        assert [(row["id"], row["parent"]) for row in library.list_records(tx, limit=9)] == [(child, None)]


def test_deleting_a_record_takes_all_its_rows_and_its_files_may_go(database, artifacts):
    kept, gone = examples.new_session(database), examples.new_session(database)
    examples.record_all(database, artifacts, gone)
    with database.write() as tx:
        jobs.enqueue(tx, kind="explore", record_id=gone)
    names = referenced(database)
    # Latents: x_1, two steps, the arms' common last; pictures: two steps, six candidates, three arms.
    assert len(names) == 4 + 2 + 6 + 3 and all(artifacts.path(name).exists() for name in names)
    assert artifacts.purge(names, older_than=-1) == []
    with database.write() as tx:
        tx.execute(sa.delete(records).where(records.c.id == gone))
    assert {name: size for name, size in examples.table_sizes(database).items() if size} == {
        "records": 1,
        "sessions": 1,
    }
    assert referenced(database) == set()
    with database.read() as tx:
        assert [row["id"] for row in library.list_records(tx, limit=9)] == [kept]
    assert sorted(artifacts.purge(set(), older_than=-1)) == sorted(names)


def test_a_failed_transaction_leaves_nothing(database, artifacts):
    record_id = examples.new_session(database)
    with pytest.raises(RuntimeError), database.write() as tx:
        examples.save(tx, artifacts, record_id, examples.scored(0, 0))
        raise RuntimeError("the worker dies here")
    with database.read() as tx:
        assert sessions.view(tx, record_id)["iterations"] == []


def test_a_config_from_people_round_trips(database):
    config = ExploreConfig("a photo of a blue star", noise_level=0.1 + 0.2, window_min=1 / 3)
    with database.write() as tx:
        record_id = sessions.create(tx, config)
    with database.read() as tx:
        assert sessions.get_config(tx, record_id) == config
