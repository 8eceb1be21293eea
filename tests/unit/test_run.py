"""A search from Python in a few lines."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from app.settings import ROOT
from core import run
from core.config import PRESETS
from core.errors import ConfigError
from core.events import ArmFinished, IterationScored, StepCommitted
from core.run import config_of, search
from tests.tiny import sd3_model
from tests.unit.test_explore import REWARDS


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_model", lambda name, device: sd3_model())
    monkeypatch.setattr(run, "_reward", lambda name, device: REWARDS[name])


def test_it_gives_the_picture_its_rewards_and_all_that_was_tried(tiny: None) -> None:
    heard: list[object] = []
    threads = torch.get_num_threads()
    result = search(
        "a photo of a red circle",
        rewards={"bright": 2.0, "red": 0.0},
        num_steps=4,
        window_min=0.2,
        num_candidates=4,
        elite_fraction=0.5,
        num_iterations=2,
        arms=["ode"],
        seed=3,
        on_event=heard.append,
    )
    final = next(event for event in heard if isinstance(event, ArmFinished))
    assert np.array_equal(np.asarray(result.image), final.image) and result.image.size == (16, 16)
    assert result.rewards == final.rewards and result.total == pytest.approx(2 * final.rewards["bright"])
    assert result.cost == final.cost and list(result.arms) == ["ode"]
    scored = [event for event in heard if isinstance(event, IterationScored)]
    assert len(result.candidates) == 4 * len(scored) > 0
    one = result.candidates[5]
    assert (one.step, one.iteration, one.candidate) == (scored[1].step, scored[1].iteration, 1)
    assert one.total == scored[1].total[1] and one.elite == (1 in scored[1].elites)
    assert np.array_equal(np.asarray(one.image), scored[1].images[1])
    assert torch.get_num_threads() == threads


def test_presets_bring_their_place(tiny: None) -> None:
    heard: list[object] = []
    result = search(
        "a photo of a red circle", preset="initial-noise", rewards={"bright": 1.0}, num_steps=3, on_event=heard.append
    )
    assert {one.step for one in result.candidates} == {-1} and len(result.candidates) == 25
    assert result.config.search == PRESETS["initial-noise"]
    assert [event.step for event in heard if isinstance(event, StepCommitted)] == [-1, 0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": 4}, "steps: is not a setting"),
        ({"preset": "best"}, "preset: expected one of smart-grpo"),
        ({"num_candidates": 0}, "search.num_candidates: expected a whole number"),
        ({"rewards": {}}, "rewards: expected one to eight rewards"),
        ({"arms": ["luck"]}, "arms: expected some of"),
    ],
)
def test_what_cannot_be_is_told(settings: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        search("a photo of a red circle", **settings)


def test_without_settings_it_is_the_preset_without_arms() -> None:
    config = config_of("a cat", "smart-grpo", {}, None)
    assert config.search == PRESETS["smart-grpo"] and config.arms == () and config.window_max == 0.8


def test_importing_it_loads_no_torch() -> None:
    code = "import core.run, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
