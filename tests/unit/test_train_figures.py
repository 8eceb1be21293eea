"""Charts of a fine-tune: strict JSON that Plotly knows, with what belongs in them and nothing else."""

import json
from typing import Any

import plotly.graph_objects as go
import pytest

from app.train_figures import AXES, across, figures, upright
from core.errors import LabError
from core.train_config import TrainConfig

CONFIG = TrainConfig(rewards={"shapes-clip": 1.0, "shapes-verifier": 0.0})
SIGMAS = {"sigmas": [1.0, 0.9, 0.5, 0.0]}


def epoch(number: int) -> dict[str, Any]:
    metrics = {"reward_mean": 0.1 * number, "reward_std": 0.05, "approx_kl": 1e-6 * number, "peak_memory_mb": 900.0}
    if number % 2 == 0:
        metrics |= {"heldout": 0.2, "heldout_ema": 0.2 + 0.1 * number, "verifier": 0.25}
        metrics |= {"heldout/shapes-clip": 0.3, "heldout/shapes-verifier": 0.4}
    per_step = {"clip_fraction": [None, 0.1 * number, None], "ratio_mean": [None, 1.0, None]}
    told = {"epoch": number, "metrics": metrics, "per_step": per_step, "seconds": {"rollout": 1.0, "update": 2.0}}
    return told | {"nfe": 100 * number, "decodes": 10, "total_seconds": 3.0 * number}


EPOCHS = [epoch(number) for number in range(5)]


@pytest.mark.parametrize("x", AXES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_chart_is_strict_json_with_named_axes_and_a_title(x: str, dark: bool) -> None:
    found = figures(CONFIG, EPOCHS, SIGMAS, x=x, dark=dark)
    assert list(found) == ["reward", "heldout", "verifier", "rewards", "kl", "clip", "ratio", "seconds", "memory"]
    for figure in found.values():
        assert json.loads(json.dumps(figure, allow_nan=False)) == figure
        go.Figure(figure)  # raises for a property that Plotly does not know, or a value that it would ignore
        assert figure["layout"]["meta"]["title"] and figure["layout"]["xaxis"]["title"]["text"] == AXES[x]
        assert figure["layout"]["yaxis"]["title"]["text"]


def test_titles_say_where_it_came_from_and_went() -> None:
    found = figures(CONFIG, EPOCHS, SIGMAS)
    assert found["heldout"]["layout"]["meta"]["title"] == "Reward on prompts never trained: .20 → .60"
    one = figures(CONFIG, EPOCHS[:1], SIGMAS)
    assert one["heldout"]["layout"]["meta"]["title"] == "Reward on prompts never trained"


def test_judged_epochs_alone_stand_in_the_held_out_chart_over_what_was_spent() -> None:
    trained, averaged = figures(CONFIG, EPOCHS, SIGMAS, x="nfe")["heldout"]["data"]
    assert trained["x"] == averaged["x"] == [0, 200, 400] and averaged["y"] == pytest.approx([0.2, 0.4, 0.6])
    assert averaged["customdata"] == [[0], [2], [4]] and averaged["line"]["dash"] == "dash"


def test_the_band_is_one_standard_deviation() -> None:
    low, high, mean = figures(CONFIG, EPOCHS, SIGMAS)["reward"]["data"]
    assert low["y"][2] == pytest.approx(0.15) and high["y"][2] == pytest.approx(0.25) and mean["y"][2] == 0.2
    assert high["fill"] == "tonexty"


def test_timesteps_that_were_not_trained_are_empty() -> None:
    (drawn,) = figures(CONFIG, EPOCHS, SIGMAS)["clip"]["data"]
    assert drawn["z"][0] == [None] * 5 and drawn["z"][1] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert drawn["y"] == [1, 2, 3] and drawn["text"][1][0] == "2 (σ .90)"


def test_watched_rewards_are_dashed_and_the_exact_verifier_stands_beside_them() -> None:
    climbed, watched, exact = figures(CONFIG, EPOCHS, SIGMAS)["rewards"]["data"]
    assert (climbed["line"]["dash"], watched["line"]["dash"]) == ("solid", "dash") and "watched" in watched["name"]
    assert exact["name"] == "Exactly right" and exact["y"] == [0.25] * 3


def test_a_run_that_has_just_begun_has_no_empty_charts() -> None:
    assert figures(CONFIG, [], {}) == {}
    with pytest.raises(LabError, match="expected one of epoch"):
        figures(CONFIG, EPOCHS, SIGMAS, x="time")


def test_a_run_judged_once_stands_on_axes_that_make_sense() -> None:
    found = figures(CONFIG, EPOCHS[:1], SIGMAS)
    x, y = (found["verifier"]["layout"][axis]["range"] for axis in ("xaxis", "yaxis"))
    assert x == pytest.approx([-0.25, 5.25]) and y == [-0.03, 1.03]
    assert found["heldout"]["layout"]["yaxis"]["range"] == pytest.approx([0.18, 0.22])
    whole = figures(CONFIG, [epoch(number) for number in range(9)], SIGMAS)["heldout"]["layout"]
    assert "range" not in whole["xaxis"] and "range" not in whole["yaxis"]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([0.0], True, [-0.03, 1.03]),
        ([0.4, 0.5], True, None),
        ([2.0, 2.001], False, [1.8004, 2.2006]),
        ([-1.0], False, [-1.1, -0.9]),
        ([0.0, 0.0], False, [-0.1, 1.0]),
        ([1.289, 1.222], False, None),
        ([], False, None),
    ],
)
def test_flat_lines_lie_in_a_small_band(values: list[float], share: bool, expected: list[float] | None) -> None:
    assert upright(values, share=share) == (expected if expected is None else pytest.approx(expected))


def test_other_axes_begin_at_nothing_too() -> None:
    assert across([0.0], "nfe") == pytest.approx([-0.05, 1.05])
    assert across([40.0], "total_seconds") == pytest.approx([-4, 84])
    assert across([0.0, 40.0], "nfe") is None and across([], "epoch") is None


def test_charts_do_not_call_prompts_unseen_that_are_trained() -> None:
    lines = ("a photo of a red circle", "a photo of a blue star")
    told = {"prompts": list(lines), "eval_prompts": list(lines)}
    for config, started in ((TrainConfig(prompts=lines), {}), (CONFIG, told)):
        titles = [one["layout"]["meta"]["title"] for one in figures(config, EPOCHS, SIGMAS | started).values()]
        assert sum("on the prompts it is trained on" in title for title in titles) == 3
        assert not any("never trained" in title for title in titles)
