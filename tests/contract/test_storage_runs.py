"""Fine-tunes as they are stored, listed and deleted, on both databases; and their checkpoints as folders."""

from dataclasses import replace

import pytest
import storage_examples as examples

from core.errors import NotFound, StorageError
from core.events import Cost
from storage import jobs, queue, records, reliability, runs
from storage.checkpoints import Checkpoints
from storage.progress import epochs_done, spent_by

WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture
def trained(database, artifacts):
    record_id = examples.new_run(database)
    examples.train_all(database, artifacts, record_id)
    return record_id


def test_what_was_trained_is_read_as_it_was_but_for_what_is_not_finite(database, trained):
    with database.read() as tx:
        assert runs.get_config(tx, trained) == examples.TRAINED
        rows, told = runs.epochs_of(tx, trained), runs.told(tx, trained)
        samples, checkpoints = runs.samples_of(tx, trained), runs.checkpoints_of(tx, trained)
        assert runs.spent(tx, trained) == Cost(20, 4, 4)
    assert [row.epoch for row in rows] == [0, 1, 2] and rows[2].phases == {"rollout": 0.5}
    assert rows[1].metrics == {"reward_mean": 0.1, "grad_norm": None, "kl_ref": None, "heldout": 1 / 3}
    assert rows[1].per_step == {"clip_fraction": [None, 0.5, None], "ratio_mean": [None, 1.0, 1.0]}
    assert told.started["sigmas"] == [1.0, 0.5, 0.0] and told.started["sample_prompts"] == ["b"]
    assert told.environment == {"python": "3.11"} and told.num_epochs == 2
    assert [(row.epoch, row.ema, row.rewards) for row in samples] == [(n, True, [0.5, None]) for n in range(3)]
    assert [(row.epoch, row.folder, row.kept) for row in checkpoints] == [
        (0, "1-0", False),
        (1, "1-1", True),
        (2, "1-2", False),
    ]


def test_recording_again_replaces_and_a_checkpoint_once_kept_stays_so(database, artifacts, trained):
    sizes = examples.table_sizes(database)
    with database.write() as tx:
        runs.save_epoch(tx, trained, examples.epoch(1))
        runs.save_checkpoint(tx, trained, 1, "2-1", {}, kept=False)
    assert examples.table_sizes(database) == sizes
    with database.write() as tx:
        assert [(row.folder, row.kept) for row in runs.checkpoints_of(tx, trained)][1] == ("2-1", True)
        runs.drop_checkpoint(tx, trained, 1)
        assert [row.epoch for row in runs.checkpoints_of(tx, trained)] == [0, 2]


def test_what_was_written_since_a_cursor(database, trained):
    with database.write() as tx:
        before = runs.run_row(tx, trained).seq
        runs.save_epoch(tx, trained, examples.epoch(2))
        assert runs.run_row(tx, trained).seq == before + 1
        assert [row.epoch for row in runs.epochs_of(tx, trained, before)] == [2]
        assert runs.samples_of(tx, trained, before) == []


def test_a_run_is_listed_beside_sessions_with_its_progress_counted_in_epochs(database, trained):
    with database.write() as tx:
        assert epochs_done(tx, [trained]) == {trained: 2}
        assert spent_by(tx, [trained])[trained].nfe == 20
        runs.save_finished(tx, trained, Cost(20, 4, 4, 3.0), {"heldout": [0.25, 0.5]})
        (only,) = records.list_records(tx, limit=9, kind="train", sort="cost")
        assert records.schedules(tx, [trained])[trained][1] is None
    assert (only["seconds"], only["state"], only["reward"]) == (3.0, "succeeded", 0.5)
    assert only["headline"] == {"heldout": [0.25, 0.5]} and only["picture"].endswith(".webp")
    assert (only["prompt"], only["preset"], only["model"]) == ("a photo of two stars", "flow-grpo", "shapes-sd3")


def test_runs_and_measurements_are_not_taken_for_each_other(database, trained):
    measured = examples.new_measurement(database)
    with database.read() as tx:
        for wrong, record_id in ((runs.get_config, measured), (reliability.get_config, trained)):
            with pytest.raises(NotFound):
                wrong(tx, record_id)
    with pytest.raises(NotFound), database.write() as tx:
        runs.save_epoch(tx, measured, examples.epoch(0))


def test_its_sheets_are_needed_as_long_as_it_is_there_and_all_its_rows_go(database, trained):
    with database.read() as tx:
        assert len(set(records.artifacts_of(tx, trained))) == 3
        (session,) = (row.session_id for row in runs.watched_of(tx, trained))
    for record_id in (trained, session):
        with database.write() as tx:
            records.trash(tx, record_id)
            records.erase(tx, record_id)
        left = True
        while left:
            with database.write() as tx:
                left = records.remove_rows(tx, record_id)
    assert not any(examples.table_sizes(database).values())


def test_its_own_job_decides_its_state_and_a_trial_runs_beside_it(database, trained):
    with database.write() as tx:
        job_id = jobs.enqueue(tx, kind=jobs.TRAIN, record_id=trained, lane="batch")
        claim = jobs.claim(tx, lane="batch", owner="w1")
        assert claim is not None and claim.job_id == job_id == jobs.latest_job(tx, trained)
        assert queue.live_jobs(tx)[0]["claimed_units"] == 2
        with pytest.raises(StorageError, match="this fine-tune is running"):
            records.trash(tx, trained)
        jobs.finish(tx, claim, "succeeded")
        number = runs.new_trial(tx, trained, {"prompts": ["b"]})
        trial = jobs.enqueue(tx, kind=jobs.EVALUATE, record_id=trained, lane="batch", payload={"trial": number})
        runs.save_trial(tx, trained, number, job_id=trial)
        held = jobs.claim(tx, lane="batch", owner="w1")
        assert held is not None and held.job_id == trial != jobs.latest_job(tx, trained)
        jobs.finish(tx, held, "failed", "no such model")
        assert records.get_record(tx, trained)["state"] == "succeeded"
        (row,) = runs.trials_of(tx, trained)
        assert (row.number, row.result, row.status, row.error) == (1, None, "failed", "no such model")
        assert queue.retry(tx, trial) != trial


def test_save_and_sample_are_refused_where_nothing_runs(database, trained):
    with database.write() as tx:
        job_id = jobs.enqueue(tx, kind=jobs.TRAIN, record_id=trained, lane="batch")
        jobs.send_command(tx, job_id, "save")
        assert jobs.pending_commands(tx, job_id) == []
        assert queue.job_view(tx, trained)["refusal"] == "this can be asked of a fine-tune that runs"


def test_the_runs_that_have_something_to_load_and_those_that_were_timed(database, trained):
    examples.new_run(database)
    with database.write() as tx:
        assert [row.id for row in runs.trained(tx)] == [trained]
        (timed,) = runs.begun(tx, "shapes-sd3", here=lambda record_id: True)
        assert runs.begun(tx, "shapes-sd3", here=lambda record_id: record_id != trained) == []
        assert timed["config"] == examples.TRAINED and timed["phases"] == [{"rollout": 0.5}] * 3
        digest = runs.run_row(tx, trained).config_hash
        assert [row.id for row in runs.with_config(tx, digest)][-1] == trained
        records.trash(tx, trained)
        assert runs.trained(tx) == []


def test_a_checkpoint_is_whole_or_not_there(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints")
    assert kept.records() == set()

    def save(folder):
        (folder / "ema").mkdir()
        (folder / "ema" / WEIGHTS).write_bytes(b"averaged")
        (folder / WEIGHTS).write_bytes(b"raw")

    def fail(folder):
        save(folder)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        kept.write("abc", "1-0", fail)
    assert list((kept.folder / "abc").iterdir()) == []
    files = kept.write("abc", "1-0", save)
    assert set(files) == {WEIGHTS, f"ema/{WEIGHTS}"} and files[WEIGHTS]["bytes"] == 3
    assert kept.write("abc", "1-0", fail) == files, "what is there is complete"
    folder = kept.checked("abc", "1-0", files)
    (folder / WEIGHTS).write_bytes(b"rax")
    with pytest.raises(StorageError, match=f"{WEIGHTS} is not what was written"):
        kept.checked("abc", "1-0", files)
    (folder / WEIGHTS).unlink()
    with pytest.raises(StorageError, match=f"{WEIGHTS} is missing"):
        kept.checked("abc", "1-0", files)
    assert kept.records() == {"abc"}
    kept.remove("abc", "1-0")
    kept.remove_all("abc")
    assert kept.records() == set()
    for record_id, name in (("..", "1-0"), ("abc", "../x"), ("abc", "")):
        with pytest.raises(StorageError, match="not the name of a checkpoint"):
            kept.path(record_id, name)


def test_a_run_without_a_prompt_of_its_own_is_called_by_its_set(database):
    record_id = examples.new_run(database, replace(examples.TRAINED, prompts=()), name="of mine")
    with database.read() as tx:
        found = records.get_record(tx, record_id)
    assert (found["prompt"], found["name"]) == ("shapes-train", "of mine")
