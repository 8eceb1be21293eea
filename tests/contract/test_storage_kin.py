"""Several records read at once, and others with their settings, on both databases."""

import storage_examples as examples

from storage import kin, records


def read(database, what, *asked):
    with database.read() as tx:
        return what(tx, *asked)


def test_records_come_by_id_also_from_the_trash_and_unknown_ones_are_left_out(database):
    kept, thrown, gone = (examples.new_session(database) for _ in range(3))
    with database.write() as tx:
        records.trash(tx, thrown)
        records.trash(tx, gone)
        records.erase(tx, gone)
    assert read(database, kin.rows_by_id, [kept, thrown, gone, "unknown"]).keys() == {kept, thrown}


def test_only_finished_records_of_the_same_kind_model_and_preset_are_alike(database, artifacts):
    first, second, waits, thrown = (examples.new_session(database) for _ in range(4))
    examples.new_run(database)
    for record_id in (first, second, thrown):
        examples.record_all(database, artifacts, record_id)
    with database.write() as tx:
        records.trash(tx, thrown)
    like = read(database, kin.rows_by_id, [waits])[waits]
    found = read(database, kin.finished_alike, like, 10)
    assert [row.id for row in found] == [second, first]
    assert found[0].config == like.config
    assert [row.id for row in read(database, kin.finished_alike, like, 1)] == [second]


def test_outcomes_are_the_searches_finite_rewards_and_what_they_cost(database, artifacts):
    done, waits = examples.new_session(database), examples.new_session(database)
    examples.record_all(database, artifacts, done)
    assert read(database, kin.outcomes, [done, waits, "unknown"]) == {
        done: {"verifier": 0.75, "clip": 0.5, "size": -1.0, "nfe": 50}
    }
    assert "clip" not in read(database, kin.outcomes, [done], "ode")[done]
