"""`train`: a fine-tune in this process, recorded as a worker's is; and its settings as a line of flags."""

import io
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import train_request
from app.__main__ import _parser, main
from app.services import Lab
from app.settings import ROOT, Settings
from app.train_command import resume_line, train_here
from app.train_export import command_line
from app.train_flags import read_train
from app.train_request import read_request
from core.config import SearchConfig
from core.errors import ConfigError, LabError
from core.train_config import TRAIN_PRESETS, preset, to_dict
from storage import runs, sessions
from tests.fakes import fake_toolbox
from tests.integration.test_training import CONFIG, shown, undisturbed, weights

BODY = to_dict(CONFIG)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(train_request.models, "usable", lambda name: (True, ""))
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def ran(lab: Lab, before: Any = lambda name: None, **more: Any) -> str:
    out = io.StringIO()
    assert train_here(lab, BODY, toolbox=fake_toolbox(before), out=out, **more) == 0
    return out.getvalue()


def test_json_tells_every_epoch_and_ends_with_a_checkpoint(lab: Lab) -> None:
    lines = [json.loads(line) for line in ran(lab, as_json=True).splitlines()]
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == list(range(1, 7))
    record_id, epoch, last = lines[0]["id"], lines[-3], lines[-1]
    assert lines[0]["event"] == "run" and lines[1]["event"] == "baseline" and lines[1]["heldout"] == 0.0
    for name in ("reward_mean", "heldout", "verifier", "approx_kl", "clip_fraction", "ratio_max_deviation", "seconds"):
        assert name in epoch
    assert (epoch["event"], epoch["nfe"], epoch["epoch_nfe"]) == ("epoch", 6 * 24, 24.0)
    assert last["event"] == "checkpoint" and Path(last["path"]).read_bytes() == weights(lab, record_id)
    assert weights(lab, record_id) == undisturbed(lab), "as a worker trains it"
    view = shown(lab, record_id)
    assert view["state"] == "succeeded" and view["job"] is None and '"event"' not in view["log"]


def test_a_person_reads_a_table_and_where_the_weights_lie(lab: Lab) -> None:
    text = ran(lab)
    lines = text.splitlines()
    assert lines[0].split() == ["epoch", "reward_mean", "heldout", "heldout_ema", "verifier", "nfe", "seconds"]
    assert [line.split()[0] for line in lines[1:4]] == ["0", "3", "6"]
    assert Path(lines[6].removeprefix("LoRA: ")).is_file() and lines[-1].startswith("/train?")


def test_one_that_was_stopped_goes_on_from_its_checkpoint(lab: Lab) -> None:
    def stop(name: str) -> None:
        if name == "epoch 5":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(lab, stop)
    (record,) = lab.recent(2, "train")
    assert record["state"] == "cancelled"
    begun: list[str] = []
    ran(lab, begun.append, resume=record["id"])
    assert begun[0] == "epoch 5" and weights(lab, record["id"]) == undisturbed(lab)
    with pytest.raises(LabError, match="has finished"):
        ran(lab, resume=record["id"])
    with lab.database.write() as tx:
        waiting = runs.create(tx, CONFIG)
    with pytest.raises(LabError, match="is pending"):
        ran(lab, resume=waiting)


def test_what_goes_wrong_stands_in_its_record(lab: Lab) -> None:
    def fail(name: str) -> None:
        if name == "epoch 1":
            raise LabError("all rewards are equal")

    with pytest.raises(LabError, match="all rewards"):
        ran(lab, fail, as_json=True)
    (record,) = lab.recent(2, "train")
    assert (record["state"], record["error"]) == ("failed", "all rewards are equal")


def test_the_way_on_can_be_typed_where_it_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "executable", str(ROOT / ".venv/bin/python"))
    usual = ".venv/bin/python -m app train --resume aaaabbbbcccc"
    assert resume_line(ROOT / "data", "aaaabbbbcccc") == usual
    assert resume_line(ROOT / "my data", "aaaabbbbcccc") == f"{usual} --data-dir 'my data'"
    monkeypatch.chdir(tmp_path)
    elsewhere = f"{ROOT / '.venv/bin/python'} -m app train --resume x --data-dir lab"
    assert resume_line(tmp_path / "lab", "x") == elsewhere


def test_a_run_whose_process_was_killed_is_told_as_such_and_can_go_on(lab: Lab) -> None:
    with lab.database.write() as tx:
        record_id = runs.create(tx, CONFIG)
        sessions.set_state(tx, record_id, "running")
    folder = lab.settings.data_dir / "searching"
    folder.mkdir(exist_ok=True)
    (folder / f"{record_id}.lock").touch()
    again = Lab(replace(lab.settings))
    assert shown(again, record_id)["state"] == "failed" and "killed" in shown(again, record_id)["error"]
    again.close()
    ran(lab, resume=record_id)
    assert weights(lab, record_id) == undisturbed(lab)


FULL = shlex.split(
    "--preset smart-grpo --seed 3 --epochs 4 --prompts-per-epoch 3 --group-size 4 --no-ema --sde-window none "
    "--max-seconds 30 --reward shapes-clip=1 --reward shapes-verifier=0 --search one-shot --num-candidates 9 "
    "--reading sde --kl-beta 0.04 --gradient-checkpointing "
    "--prompt 'a photo of two red circles' --prompt 'a photo of a blue star'"
)


def asked(words: list[str]) -> Any:
    return read_request(read_train(_parser().parse_args(["train", *words])))


def test_flags_are_settings() -> None:
    config = asked(FULL)
    assert (config.preset, config.noise_source, config.seed, config.epochs) == ("smart-grpo", "search", 3, 4)
    assert (config.ema, config.sde_window, config.max_seconds, config.gradient_checkpointing) == (
        False,
        None,
        30.0,
        True,
    )
    assert config.rewards == {"shapes-clip": 1.0, "shapes-verifier": 0.0}
    assert config.prompts == ("a photo of two red circles", "a photo of a blue star")
    assert config.search == SearchConfig("one-shot", 9, 1, 0.48, reading="sde")
    assert asked(["--epochs", "3"]) == replace(preset("flow-grpo"), epochs=3, threads=asked([]).threads)


@pytest.mark.parametrize(
    "words", [FULL, ["--preset", "flow-grpo-all-steps"], ["--epochs", "7", "--prompt", "it's $(x)"]]
)
def test_the_line_that_reproduces_a_run_asks_for_the_same(words: list[str]) -> None:
    given = [*words, "--reward", "shapes-clip=1"]
    config = asked(given)
    line = shlex.split(command_line(config, "it's \u201cmine\u201d"))
    assert line[:4] == ["python", "-m", "app", "train"] and asked(line[4:-2]) == config
    assert _parser().parse_args(line[3:]).name == "it's \u201cmine\u201d"


@pytest.mark.parametrize("name", [name for name in TRAIN_PRESETS if not name.startswith("sd3.5")])
def test_every_preset_of_the_embedded_model_can_be_asked_for(name: str) -> None:
    assert asked(["--preset", name]).preset == name


def test_what_cannot_run_is_told_by_flag(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, told in (
        (["--preset", "other"], "train: --preset: expected one of flow-grpo"),
        (["--group-size", "1"], "train: --group-size: expected a whole number from 2"),
        (["--prompt", "a cat"], "train: --reward: "),
        (["--model", "sd9"], "train: --model: expected one of the models"),
        (["--prompt", "x", "--prompts-file", "y"], "train: --prompts-file: expected it or --prompt"),
        (["--resume", "aaaaaaaaaaaa"], "train: there is no"),
    ):
        assert main(["train", *words, "--data-dir", str(tmp_path)]) == 2
        assert told in capsys.readouterr().err, words


def test_a_request_says_what_is_wrong_by_field() -> None:
    for body, field in (
        ({"rewards": {"nonsense": 1.0}}, "rewards"),
        ({"prompt_set": "none"}, "prompt_set"),
        ({"prompt_set": "general"}, "rewards"),
        ({"colour": "red"}, "colour"),
    ):
        with pytest.raises(ConfigError) as told:
            read_request(body)
        assert field in told.value.problems
