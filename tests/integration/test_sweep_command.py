"""`sweep` on the command line over the fake engine: flags, lines of JSON, a table, and what is refused."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import _parser, main
from app.running import end_killed
from app.services import Lab
from app.settings import Settings
from app.sweep_command import sweep_here
from app.sweep_flags import read_body
from core.errors import ConfigError, LabError
from storage import sessions
from tests.fakes import fake_reward, fake_toolbox

FLAGS = ["--steps", "3", "--num-iterations", "1", "--arms", "no_search", "--reward", "shapes-clip=1"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def body(*flags: str) -> dict[str, Any]:
    return read_body(_parser().parse_args(["sweep", *flags, *FLAGS]))


def tuned(*flags: str) -> dict[str, Any]:
    words = ["sweep", "--fine-tunes", *flags]
    return read_body(_parser(words).parse_args(words))


def run(lab: Lab, asked: dict[str, Any], **how: Any) -> str:
    out = io.StringIO()
    assert sweep_here(lab, asked, toolbox=fake_toolbox(reward=fake_reward), out=out, **how) == 0
    return out.getvalue()


ASKED = ("a photo of a red circle", "--vary", "num_candidates=3,4", "--vary", "step_kind=sde,cps")


def test_a_sweep_prints_a_line_a_run_and_is_not_run_twice(lab: Lab) -> None:
    lines = [json.loads(line) for line in run(lab, body(*ASKED), as_json=True).splitlines()]
    assert [line["event"] for line in lines] == ["sweep", *["run"] * 4, "cells"]
    assert lines[1]["values"] == {"search.num_candidates": 3, "step_kind": "sde"} and lines[4]["done"] == 4
    assert lab.records(kind="sweep")["records"][0]["state"] == "succeeded"
    estimate = json.loads(run(lab, body(*ASKED), as_json=True, estimate=True))
    assert (estimate["runs"], estimate["known"], estimate["nfe"]) == (4, 4, 0)
    told = run(lab, body(*ASKED), as_json=False, measure="shapes-clip")
    assert told.splitlines()[1].split() == ["Candidates", "(K)", "\\", "Step", "kind", "sde", "cps"]
    assert "/sweep?record=" in told and len(lab.recent(kind="session")) == 4


@pytest.mark.parametrize(
    ("varied", "sentence"),
    [
        ("foo=1", "sweep: --vary foo=1: expected one of "),
        ("num_candidates=abc", "sweep: --vary num_candidates=abc: expected a whole number"),
        ("num-candidates=3,3", "sweep: --vary num-candidates=3,3: expected every value once, got 3 twice"),
    ],
)
def test_what_is_wrong_is_told_under_what_was_written(
    varied: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "a photo", "--vary", varied, "--data-dir", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def test_fine_tunes_are_swept_with_the_flags_of_train(lab: Lab) -> None:
    asked = tuned("--epochs", "2", "--vary", "learning-rate=3e-4,1e-3", "--seeds", "2", "--name", "Rates")
    assert asked["of"] == "train" and asked["name"] == "Rates"
    assert asked["base"] == {"preset": "flow-grpo", "epochs": 2}
    lines = [json.loads(line) for line in run(lab, asked, as_json=True).splitlines()]
    assert [line["event"] for line in lines] == ["sweep", *["run"] * 4, "cells"]
    assert lines[2]["values"] == {"learning_rate": 1e-3} and lines[2]["seed"] == 0 and "prompt" not in lines[2]
    assert {line["fine_tune"] for line in lines[1:5]} == {row["id"] for row in lab.recent(kind="train")}
    estimate = json.loads(run(lab, asked, as_json=True, estimate=True))
    assert (estimate["runs"], estimate["known"], estimate["nfe"]) == (4, 4, 0)
    told = run(lab, asked, as_json=False, measure="gain:verifier").splitlines()
    assert told[0].startswith("Exactly right, held-out, gain over the base") and told[1].split()[:2] == [
        "Learning",
        "rate",
    ]
    assert told[2].split() == ["0.0003", "0.000", "[0.000,", "0.000]"] and len(lab.recent(kind="train")) == 4


def test_a_process_that_was_killed_leaves_no_fine_tune_running(lab: Lab) -> None:
    def before(name: str) -> None:
        if name == "epoch 2":
            raise KeyboardInterrupt

    asked = tuned("--epochs", "3", "--vary", "learning_rate=3e-4,1e-3")
    with pytest.raises(KeyboardInterrupt):
        sweep_here(lab, asked, as_json=True, toolbox=fake_toolbox(before), out=io.StringIO())
    assert {record["state"] for record in lab.records()["records"]} == {"cancelled"}
    with lab.database.write() as tx:  # as if nobody had been there to say so
        for record in lab.records()["records"]:
            sessions.set_state(tx, record["id"], "running")
    sweep_id = lab.records(kind="sweep")["records"][0]["id"]
    (lab.settings.data_dir / "searching" / f"{sweep_id}.lock").touch()
    assert end_killed(lab.database, lab.settings.data_dir) == [sweep_id]
    assert {record["state"] for record in lab.records()["records"]} == {"failed"}


def test_the_flag_that_decides_the_others_is_not_shortened() -> None:
    with pytest.raises(ConfigError, match="written out"):
        body("a", "--fine", "--vary", "num_steps=3,4")


def test_a_sweep_that_is_interrupted_says_so(lab: Lab) -> None:
    def before(name: str) -> None:
        if name == "step 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_here(lab, body(*ASKED), as_json=True, toolbox=fake_toolbox(before, fake_reward), out=io.StringIO())
    assert {record["state"] for record in lab.records()["records"]} == {"cancelled"}


def test_a_sweep_in_which_nothing_works_fails(lab: Lab) -> None:
    def before(name: str) -> None:
        raise LabError("the model is tired")

    with pytest.raises(LabError, match="first 3 runs failed"):
        sweep_here(lab, body(*ASKED), as_json=True, toolbox=fake_toolbox(before, fake_reward), out=io.StringIO())
    (record,) = lab.records(kind="sweep")["records"]
    assert record["state"] == "failed" and "tired" in record["error"]


@pytest.mark.parametrize(
    ("flags", "field", "sentence"),
    [
        (("a",), "vary", "expected one or two settings"),
        (("--vary", "num_steps=3"), "prompt", "expected a prompt, --prompts-file or --prompt-set"),
        (("a", "--prompt-set", "mixed", "--vary", "num_steps=3"), "prompt", "and one of them"),
        (("a", "--vary", "num_steps"), "vary", "expected SETTING=VALUE,VALUE"),
    ],
)
def test_what_cannot_be_read_is_told(flags: tuple[str, ...], field: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        body(*flags)
    assert sentence in caught.value.problems[field]


def test_the_measure_of_the_table_is_one_that_there_is(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="expected one of gain:no_search"):
        run(lab, body(*ASKED), as_json=False, measure="beauty")


def test_problems_reach_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = ["sweep", "a photo of a red circle", "--vary", "num_steps=5,0", "--estimate"]
    assert main([*asked, "--data-dir", str(tmp_path / "data")]) == 2
    assert "with --num-steps 0" in capsys.readouterr().err
