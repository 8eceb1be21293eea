"""Experiments over the fake trainer: every arm and seed once, shared, resumed, told as text, JSON and one HTML file."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import main
from app.experiment_command import run_experiment
from app.experiments import collect, find, load, names
from app.services import Lab
from app.settings import EXPERIMENTS, Settings
from app.train_estimate import planned_forwards
from core.errors import ConfigError, LabError
from core.train_config import config_hash, from_dict
from storage import runs, sessions
from tests.fakes import fake_toolbox

QUICK = {"epochs": 2, "eval_every": 1, "checkpoint_every": 1, "sample_every": 0}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def ran(lab: Lab, name: str, before: Callable[[str], None] = lambda name: None, **more: Any) -> tuple[int, str]:
    out = io.StringIO()
    code = run_experiment(lab, name, small=True, changes=QUICK, toolbox=fake_toolbox(before), out=out, **more)
    return code, out.getvalue()


def trained(lab: Lab) -> list[dict[str, Any]]:
    return lab.recent(99, "train")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("small", [False, True])
def test_every_experiment_can_be_asked_for(name: str, small: bool) -> None:
    found = load(name, small=small)
    assert len(found.arms) > 1 and found.seeds == (2 if small else 3) and found.title and found.question
    assert {arm for pair in found.contrasts for arm in pair} <= found.arms.keys()
    assert len({config_hash(config) for config in found.arms.values()}) == len(found.arms)
    assert all(config.rewards["shapes-clip"] for config in found.arms.values()), "the learned reward is trained"
    if not small:
        assert all(config.eval_prompts >= 200 and config.epochs >= 40 for config in found.arms.values())


def test_random_noise_gets_as_many_evaluations_as_the_search_costs() -> None:
    flow, smart = (load("figure-1").arms[name] for name in ("Flow-GRPO", "Smart-GRPO"))
    spent = [config.epochs * planned_forwards(config).epoch for config in (flow, smart)]
    assert smart.epochs == 40 and spent[1] <= spent[0] < 1.1 * spent[1] and flow.epochs % flow.eval_every == 0


def test_arms_with_equal_settings_are_one() -> None:
    figure, table, shares = (load(name) for name in ("figure-1", "table-1", "searched-fraction"))
    flow = {config_hash(one.arms["Flow-GRPO"]) for one in (figure, table)} | {config_hash(shares.arms["0: Flow-GRPO"])}
    smart = {config_hash(one.arms["Smart-GRPO"]) for one in (figure, table)}
    assert len(flow) == 1 and smart == {config_hash(shares.arms["1: Smart-GRPO"])}
    iterative, greedy = load("figure-2a").arms["Iterative"], load("figure-2b").arms["Greedy"]
    assert smart == {config_hash(iterative), config_hash(greedy)}
    assert load("figure-2b").arms["Anti-greedy"].search.selection == "bottom"
    assert [load("searched-fraction").arms[name].searched_members for name in (".25", ".5")] == [2, 3]


def test_every_run_is_trained_once_and_shared_with_the_next_experiment(lab: Lab) -> None:
    begun: list[str] = []
    code, text = ran(lab, "figure-1", begun.append)
    assert code == 0 and len(trained(lab)) == 4 and {one["state"] for one in trained(lab)} == {"succeeded"}
    assert "Flow-GRPO against Smart-GRPO" in text and "small size" in text and "over 2 seeds" in text
    again: list[str] = []
    assert ran(lab, "figure-1", again.append)[0] == 0 and again == []
    assert ran(lab, "table-1", again.append)[0] == 0 and again == [], "the same arms"
    assert ran(lab, "figure-2b", again.append)[0] == 0 and len(trained(lab)) == 4 + 4, "greedy is Smart-GRPO"
    assert ran(lab, "figure-1", again.append, seeds=3)[0] == 0 and len(trained(lab)) == 8 + 2


def test_an_experiment_goes_on_where_it_was_stopped(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def stop(name: str) -> None:
        seen.append(name)
        if len(seen) == 11:  # within the first seed's second arm
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(lab, "figure-1", stop)
    assert "the same command goes on where this stopped" in capsys.readouterr().err
    states = [one["state"] for one in trained(lab)]
    code, text = ran(lab, "figure-1", train=False)
    assert code == 1 and f"{4 - states.count('succeeded')} of its runs have not finished" in text
    code, _ = ran(lab, "figure-1")
    assert code == 0 and len(trained(lab)) == 4


def test_a_run_that_another_process_has_is_left_to_it(lab: Lab) -> None:
    mine = load("figure-1", small=True, **QUICK).config("Smart-GRPO", 0)
    with lab.database.write() as tx:
        record_id = runs.create(tx, mine)
        sessions.set_state(tx, record_id, "running")
    code, text = ran(lab, "figure-1")
    assert code == 1 and "1 of its runs have not finished: Smart-GRPO seed 0 (running)" in text
    assert len(trained(lab)) == 4


def test_a_run_that_cannot_be_finished_does_not_stop_the_others(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    failed: list[str] = []

    def fail(name: str) -> None:
        if name == "epoch 1" and not failed:
            failed.append(name)
            raise LabError("the loss is not finite")

    code, text = ran(lab, "figure-1", fail)
    assert code == 1 and "Flow-GRPO, seed 0: the loss is not finite" in capsys.readouterr().err
    assert "(failed)" in text and sum(one["state"] == "succeeded" for one in trained(lab)) == 3
    assert ran(lab, "figure-1")[0] == 0, "it is tried again"


def test_a_run_that_was_looked_at_otherwise_cannot_be_read(lab: Lab) -> None:
    ran(lab, "figure-1", seeds=1)
    config = load("figure-1", small=True, **QUICK).config("Smart-GRPO", 0)
    assert find(lab, config) is not None
    other = load("figure-1", small=True, **(QUICK | {"eval_every": 2})).config("Smart-GRPO", 0)
    assert config_hash(other) == config_hash(config) and find(lab, other) is None


def test_the_report_needs_nothing_else_and_the_results_are_data(lab: Lab, tmp_path: Path) -> None:
    report, results = tmp_path / "report.html", tmp_path / "results.json"
    ran(lab, "figure-1", report_to=report, results_to=results)
    text, found = report.read_text(), json.loads(results.read_text())
    assert text.startswith("<!doctype html>") and "Plotly.react" in text and "small size" in text
    own = text.replace(re.search(r"<script>.*?</script>", text, re.S)[0], "")
    assert not re.search(r"""(src|href)\s*=\s*["']?http""", own) and "python -m app train --preset smart-grpo" in own
    assert [row["seed"] for row in found["runs"]] == [0, 1, 0, 1] and found["missing"] == []
    assert "no difference</td>" in own or "underpowered</td>" in own or "told apart</td>" in own
    assert " NFE</td>" in own and "nfe " not in own.partition("<h2>Contrasts")[2].partition("<h2>Runs")[0]
    axes = {(one["measure"], one["axis"]) for one in found["contrasts"]}
    assert {("heldout_ema", axis) for axis in ("epoch", "nfe", "seconds")} <= axes
    smart = found["arms"]["Smart-GRPO"]
    assert from_dict(smart["config"]).noise_source == "search" and smart["seeds"] == [0, 1]
    assert [row["epoch"] for row in smart["curves"]["heldout_ema"]] == [0, 1, 2]
    assert smart["gains"]["heldout_ema"]["gain"]["seeds"] == 2 and found["environment"]["packages"]["numpy"]


def test_hostile_text_in_a_report_stays_text(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile, report = "</script><img src=x onerror=alert(1)>", tmp_path / "report.html"
    plain = json.loads((EXPERIMENTS / "figure-1.json").read_text())
    plain["arms"][1]["name"] = plain["arms"][0]["match_nfe"] = plain["contrasts"][0][0] = hostile
    (tmp_path / "hostile.json").write_text(json.dumps(plain | {"title": hostile, "measures": {"heldout": hostile}}))
    monkeypatch.setattr("app.experiments.EXPERIMENTS", tmp_path)
    ran(lab, "hostile", seeds=1, report_to=report)
    text = report.read_text()
    assert "&lt;img src=x" in text and "\\u003cimg" in text and "<img src=x" not in text


def test_what_is_wrong_is_told(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 20, got 0"):
        ran(lab, "figure-1", seeds=0)
    assert main(["experiment", "figure-9", "--data-dir", str(tmp_path / "other")]) == 2
    assert "expected one of figure-1, figure-2a" in capsys.readouterr().err


def test_nothing_is_known_before_a_run_has_ended(lab: Lab, tmp_path: Path) -> None:
    experiment = load("figure-1", small=True, **QUICK)
    assert collect(lab, experiment, 2) == {arm: {} for arm in experiment.arms}
    report = tmp_path / "report.html"
    code, text = ran(lab, "figure-1", train=False, report_to=report)
    assert code == 1 and "4 of its runs have not finished" in text and "No two arms" in report.read_text()
