"""Side by side: schedules under one cursor, settings that differ, verdicts in words, and colours that keep apart."""

import itertools
import re
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from app.compare_align import moments, same_schedule
from app.compare_figures import figures
from app.compare_run_figures import train_figures
from app.compare_settings import families, rows, shown
from app.compare_style import COLOURS, LETTERS, SYMBOLS, end_letters
from app.compare_words import Family, sentence, verdict
from app.figure_style import DARK, LIGHT
from app.settings import ROOT
from core.config import ExploreConfig, to_dict
from core.errors import LabError
from core.schedule import shifted
from core.versus import versus
from tests.unit.session_views import arm, iteration, taken, view
from tests.unit.test_figures import BLINDNESS, contrast, lab_color

PLAIN = to_dict(ExploreConfig("a photo of a red circle"))


# Schedules


def test_equal_schedules_meet_step_by_step() -> None:
    sigmas = {"A": shifted(10), "B": shifted(10)}
    assert same_schedule(sigmas)
    assert [one["steps"] for one in moments(sigmas)] == [{"A": step, "B": step} for step in range(10)]


def test_different_schedules_meet_at_the_nearest_noise_level() -> None:
    sigmas = {"A": (1.0, 0.5, 0.0), "B": (1.0, 0.8, 0.6, 0.3, 0.0)}
    assert not same_schedule(sigmas)
    found = moments(sigmas)
    assert [one["sigma"] for one in found] == [1.0, 0.8, 0.6, 0.3]
    assert [one["steps"]["A"] for one in found] == [0, 0, 1, 1]
    assert [one["steps"]["B"] for one in found] == [0, 1, 2, 3]


def test_repeated_noise_levels_keep_their_own_places() -> None:
    """Some schedulers round: two steps at one level must not both show the first."""
    sigmas = {"A": (1.0, 1.0, 0.5, 0.0), "B": (1.0, 1.0, 0.5, 0.0)}
    assert [one["steps"]["B"] for one in moments(sigmas)] == [0, 1, 2]


def test_those_that_have_not_begun_have_no_place_and_a_searched_start_has_one_of_its_own() -> None:
    found = moments({"A": shifted(4), "B": ()}, ["A"])
    assert found[0]["steps"] == {"A": -1} and found[0]["initial"]
    assert all("B" not in one["steps"] for one in found) and len(found) == 5
    assert moments({"A": ()}) == []


# Settings


def test_settings_that_differ_come_first_and_a_missing_one_is_empty() -> None:
    other = PLAIN | {"num_steps": 20, "rewards": {"shapes-clip": 1.0}}
    found = rows("session", {"A": PLAIN, "B": other})
    apart = [row["name"] for row in found if row["differs"]]
    assert apart == ["num_steps", "rewards.shapes-verifier"]
    assert [row["differs"] for row in found] == sorted((row["differs"] for row in found), reverse=True)
    assert found[0]["values"] == {"A": "10", "B": "20"} and found[0]["help"]
    assert found[1]["values"] == {"A": "0", "B": ""}
    labels = {row["name"]: row["label"] for row in found}
    assert labels["num_steps"] == "Steps" and labels["search.num_candidates"] == "Candidates (K)"
    assert labels["search.preset"] == "Preset" and labels["rewards.shapes-verifier"] == "Rewards: shapes-verifier"
    assert {row["label"] for row in rows("reliability", {"A": {"base": PLAIN}})} >= {"Steps", "Guidance"}
    assert [row["label"] for row in rows("train", {"A": {"window_min": 0.5}})] == ["Window from σ"]


def test_values_are_short_text() -> None:
    assert [shown(value) for value in (None, True, 0.30000000000000004, (), ["a", "b"])] == [
        "as usual",
        "yes",
        "0.3",
        "none",
        "a, b",
    ]
    assert shown(list("abcde")) == "5: a, b, c …"
    assert len(shown("x" * 500)) == 80


def test_families_differ_in_more_than_prompt_seed_arms_and_rounding() -> None:
    configs = {
        "A": PLAIN,
        "B": PLAIN | {"prompt": "other", "seed": 7, "arms": [], "threads": 4, "batch_size": 1},
        "C": PLAIN | {"num_steps": 12},
    }
    assert families("session", configs) == [["A", "B"], ["C"]]
    assert families("train", {"A": {"seed": 0, "epochs": 3}, "B": {"seed": 1, "epochs": 3}}) == [["A", "B"]]


# Words


def told(prompts: int, seeds: int, gain: float) -> str:
    one = {(f"p{p}", s): gain + p for p in range(prompts) for s in range(seeds)}
    other = {key: value - gain for key, value in one.items()}
    return sentence(Family(("A",), {}), Family(("B", "C"), {}), versus(one, other), "Reward")


def test_a_verdict_needs_more_than_one_sample() -> None:
    assert told(1, 1, 0.5).endswith("One sample, no verdict.")
    assert "too few for a verdict (it takes 5 prompts, or 5 seeds of each)" in told(2, 2, 0.5)
    assert told(5, 1, 0.5).endswith("+0.500 [+0.500, +0.500] over 5 samples: A is higher.")
    assert told(5, 1, -0.5).endswith("B and C are higher.")
    assert ", on these prompts only: A is higher." in told(1, 5, 0.5)
    assert told(5, 1, 0.0).endswith("cannot be told apart.")
    nothing = verdict(Family(("A",), {}), Family(("B",), {}), None, "shapes-clip", "climbed")
    assert nothing["verdict"] == "nothing shared" and "share no prompt and seed" in nothing["sentence"]


# Colours


@pytest.mark.parametrize("name", COLOURS)
def test_records_stand_out_and_keep_apart_with_any_colour_blindness(name: str) -> None:
    theme = {"light": LIGHT, "dark": DARK}[name]
    assert min(contrast(color, theme.paper) for color in COLOURS[name]) >= 3
    for matrix in BLINDNESS.values():
        seen = [lab_color(color, matrix) for color in COLOURS[name]]
        assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) >= 15
    assert len(set(SYMBOLS)) == len(LETTERS) == len(COLOURS[name])


def test_pages_know_the_same_colours_of_records() -> None:
    light, dark = (ROOT / "assets/css/tray.css").read_text().split(".dark {")[:2]
    for name, text in (("light", light), ("dark", dark)):
        found = dict(re.findall(r"--lab-side-(\w): (#\w+);", text))
        assert [found[letter.lower()] for letter in LETTERS] == list(COLOURS[name])


def test_letters_behind_lines_that_end_together_are_moved_apart() -> None:
    ends = [
        {"x": [0, 1], "y": [0.0, height], "line": {"color": "#000"}, "meta": {"letter": letter}}
        for letter, height in (("A", 1.0), ("B", 0.999), ("C", 1.0))
    ]
    found = end_letters(ends)
    places = sorted(one["y"] * 230 + one["yshift"] for one in found)
    assert min(b - a for a, b in itertools.pairwise(places)) >= 12


# Charts


def two_sessions() -> dict[str, dict[str, Any]]:
    steps = [taken(step, 0.1 * step, nfe=10 * step, seconds=float(step)) for step in range(3)]
    arms = [arm("search", 0.3) | {"nfe": 30, "decodes": 3, "seconds": 1.0}]
    return {letter: view(steps=steps, arms=arms) for letter in "AB"}


@pytest.mark.parametrize("x", ["nfe", "seconds", "sigma"])
def test_every_chart_of_sessions_is_one_that_plotly_takes(x: str) -> None:
    views = two_sessions()
    places = moments({letter: one["sigmas"] for letter, one in views.items()})
    details = {
        letter: [iteration(1, 0, [0.1, None, 0.3], [2]), iteration(1, 1, [0.2, 0.4, 0.3], [1])] for letter in "AB"
    }
    made = figures(views, {"A": "one", "B": "<b>two</b>"}, places, details, at=1, x=x)
    assert list(made) == ["trail", "arms", "rewards", "norm", "spread", "cosine", "used"]
    for figure in made.values():
        go.Figure(figure)
        assert "<b>" not in str([one.get("name") for one in figure["data"]])
    medians = [one["y"] for one in made["rewards"]["data"] if one["mode"] == "lines+markers"]
    assert medians == [[pytest.approx(0.2), pytest.approx(0.3)]] * 2


def test_axes_that_are_none_are_refused() -> None:
    with pytest.raises(LabError, match="x: expected one of nfe, seconds, sigma, got 'up'"):
        figures({}, {}, [], {}, x="up")
    with pytest.raises(LabError, match="x: expected one of epoch"):
        train_figures({}, {}, x="up")


def test_runs_are_drawn_by_their_averaged_weights_where_they_have_them() -> None:
    def side(*names: str) -> dict[str, Any]:
        epochs = [{"epoch": e, "nfe": e, "seconds": e, "metrics": dict.fromkeys(names, 0.1 * e)} for e in (0, 5)]
        return {"epochs": epochs}

    made = train_figures({"A": side("heldout", "heldout_ema"), "B": side("heldout")}, {"A": "a", "B": "b"})
    assert made["heldout"]["layout"]["meta"]["note"] == "B: trained weights, others averaged."
    go.Figure(made["heldout"])
