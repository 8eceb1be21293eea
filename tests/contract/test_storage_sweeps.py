"""Sweeps as they are stored and read, on both databases: which runs stand for their cells, and how far they are."""

from dataclasses import replace

import storage_examples as examples

from core.train_config import config_hash, to_dict
from storage import records, runs, sessions, sweeps
from storage.under_way import leave_runs
from storage.views import record_row

BASE = {"model": "m", "prompt_set": "shapes-train"}


def new_sweep(database):
    plain = {"of": "train", "base": BASE, "axes": [], "seeds": [0], "prompts": []}
    with database.write() as tx:
        return sweeps.create(tx, plain, "d", name="A sweep", preset="p")


def key(config):
    return sweeps.key_of("train", config_hash(config), to_dict(config))


def test_a_fine_tune_stands_for_a_cell_once_it_has_finished_or_if_it_is_the_sweeps_own(database, artifacts):
    sweep_id, config = new_sweep(database), examples.TRAINED
    with database.write() as tx:
        other, own = runs.create(tx, config), runs.create(tx, config, parent=sweep_id)
        sessions.set_state(tx, own, "running")
        unwanted = runs.create(tx, replace(config, eval_steps=config.eval_steps + 1), parent=sweep_id)
        found = sweeps.outcomes(tx, sweep_id, [key(config)], "train")
        assert {name: (one.record_id, one.own, one.done) for name, one in found.items()} == {
            key(config): (own, True, 0.0)
        }
    examples.train_all(database, artifacts, other)
    with database.write() as tx:
        sessions.set_state(tx, other, "succeeded")
        (only,) = sweeps.outcomes(tx, sweep_id, [key(config)], "train").values()
        assert (only.record_id, only.own, only.done) == (other, False, 1.0)
        assert only.arms["result"]["heldout"] == only.arms["base"]["heldout"] == 1 / 3
        records.trash(tx, other)
        assert [one.record_id for one in sweeps.outcomes(tx, sweep_id, [key(config)], "train").values()] == [own]
        leave_runs(tx, sweep_id, "failed", "no weights")
        states = [record_row(tx, one).state for one in (own, unwanted, other)]
        assert states == ["failed", "failed", "succeeded"]


def test_how_far_a_sweep_is_counts_the_fine_tune_under_way(database, artifacts):
    sweep_id = new_sweep(database)
    with database.write() as tx:
        assert sweeps.done_of(tx, sweep_id) == (0, None) and sweeps.seconds_left(tx, sweep_id) is None
        sweeps.save_headline(tx, sweep_id, {"done": 1, "runs": 3}, None)
        ended, under_way = (runs.create(tx, examples.TRAINED, parent=sweep_id) for _ in range(2))
        runs.save_headline(tx, under_way, {"epochs": 1})
        runs.save_finished(tx, ended, examples.epoch(2).cost, {})
        assert sweeps.done_of(tx, sweep_id) == (1.5, 3)
        assert 0 < sweeps.seconds_left(tx, sweep_id) < 1.5 * 60
