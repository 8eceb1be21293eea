"""Figures from a session: what is in them, what cannot spoil them, and whether their colours can be told apart."""

import itertools
import json
import math
import re
import subprocess
import sys
import time
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from app.figure_style import DARK, LIGHT, Theme
from app.figures import MANY, figures
from app.settings import ROOT
from tests.unit.session_views import iteration, taken, view

ALL = ["reward", "trail", "norm", "spread", "cosine", "kurtosis", "noise", "cost"]


def made(step: int = 1, shown: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    shown = shown or view()
    return figures(shown, [row for row in shown["iterations"] if row["step"] == step], step, **more)


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in figure["data"] if one["name"] == name)


def test_every_chart_is_strict_json_with_named_axes_and_a_title() -> None:
    found = made()
    assert list(found) == ALL
    for figure in found.values():
        assert json.loads(json.dumps(figure, allow_nan=False)) == figure
        go.Figure(figure)  # raises for a property that Plotly does not know, or a value that it would ignore
        assert figure["layout"]["meta"]["title"]
        assert figure["layout"]["xaxis"]["title"]["text"] and figure["layout"]["yaxis"]["title"]["text"]


def test_a_step_without_candidates_has_only_the_sessions_charts() -> None:
    assert list(made(step=0)) == ["trail", "noise", "cost"]


def test_a_session_that_has_just_begun_has_no_empty_charts() -> None:
    empty = view(iterations=[], steps=[], arms=[], step_std=[], excess_std=[], sigmas=[], searched=[])
    assert figures(empty, [], 0) == {}


def test_rewards_show_every_candidate_once_the_kept_ones_filled() -> None:
    figure = made()["reward"]
    others, kept = trace(figure, "Candidates"), trace(figure, "Kept")
    places = sorted(tuple(place) for place in others["customdata"] + kept["customdata"])
    lost = (1, 1, 1)
    assert places == [(1, i, c) for i in range(3) for c in range(5) if (1, i, c) != lost]
    assert {tuple(place[1:]) for place in kept["customdata"]} == {(0, 3), (0, 4), (1, 3), (1, 4), (2, 2), (2, 4)}
    assert others["marker"]["symbol"] == "circle-open" and kept["marker"]["symbol"] == "circle"
    assert trace(figure, "Mean")["y"] == pytest.approx([0.3, 0.45, 0.6])
    assert trace(figure, "Lowest kept")["y"] == [0.4, 0.5, 0.7]
    assert figure["layout"]["meta"]["note"] == "1 without a number is not shown."
    for x, (_, index, _c) in zip(kept["x"], kept["customdata"], strict=True):
        assert round(x) == index + 1  # a dot never wanders into another iteration


def test_a_watched_reward_is_shown_in_its_own_values() -> None:
    figure = made(reward="shapes-verifier", titles={"shapes-verifier": "Verifier"})["reward"]
    assert trace(figure, "Kept")["y"][:2] == pytest.approx([0.6, 0.5])
    assert figure["layout"]["yaxis"]["title"]["text"] == "Verifier"
    assert "Lowest kept" not in [one["name"] for one in figure["data"]]  # the threshold is one of the sum
    assert made(reward="no such")["reward"]["layout"]["yaxis"]["title"]["text"] == "shapes-clip"


def test_norms_stand_beside_the_shell_and_a_blind_search() -> None:
    figure = made()["norm"]
    assert trace(figure, "Real noise")["y"] == [1, 1]
    assert trace(figure, "Search mean")["y"] == pytest.approx([0, math.sqrt(0.5), math.sqrt(0.75)])
    assert trace(figure, "Mean of a blind search")["y"] == pytest.approx([0, 0.7071, 0.8660, 0.9354], abs=1e-4)
    assert (trace(figure, "Used")["x"], trace(figure, "Used")["y"]) == ([4], [0.98])
    assert figure["layout"]["xaxis"]["ticktext"] == ["1", "2", "3", "used"]


def test_no_theory_for_another_algorithm() -> None:
    shown = view()
    shown["config"]["search"]["algorithm"] = "mine"
    for figure in made(shown=shown).values():
        assert not any("lind search" in one["name"] for one in figure["data"])


def test_a_collapsed_spread_is_not_put_on_a_logarithm() -> None:
    assert made()["spread"]["layout"]["yaxis"]["type"] == "log"
    shown = view()
    shown["iterations"][2]["std_quantiles"] = [0.0] * 5
    assert made(shown=shown)["spread"]["layout"]["yaxis"].get("type", "linear") == "linear"


def test_trails_of_arms_and_ends_of_those_without_one() -> None:
    figure = made()["trail"]
    assert [one["name"] for one in figure["data"]][-1] == "Noise search"  # drawn last, so on top
    assert trace(figure, "No search")["y"] == [0.1, 0.3, None, 0.5]
    best = trace(figure, "Best of many, fresh starts")
    assert (best["mode"], best["x"], best["y"]) == ("markers", [4], [0.85])
    under_way = made(shown=view(arms=[], steps=[taken(0, 0.1), taken(1, 0.7)]))["trail"]
    assert trace(under_way, "Noise search")["y"] == [0.1, 0.7]
    assert [(one["x0"], one["x1"]) for one in figure["layout"]["shapes"]] == [(1.5, 2.5)]


def test_the_starting_noise_is_a_step_of_its_own() -> None:
    shown = view()
    shown["iterations"].insert(0, iteration(-1, 0, [0.1, 0.2], [1]))
    shown["steps"].insert(0, taken(-1, 0.2))
    found = made(step=-1, shown=shown)
    assert trace(found["reward"], "Kept")["customdata"] == [[-1, 0, 1]]
    assert len(trace(found["trail"], "Noise search")["y"]) == 4  # it is no step of the trail
    assert trace(found["cost"], "Velocity evaluations")["customdata"][0] == [-1, 0, None]


def test_nothing_finite_draws_no_dot_and_says_so() -> None:
    shown = view()
    shown["iterations"] = [iteration(1, 0, [None] * 3, [], kurtosis=[None] * 3, cosine=None)]
    found = made(shown=shown)
    assert all(not trace(found["reward"], name)["x"] for name in ("Candidates", "Kept"))
    assert found["reward"]["layout"]["meta"]["note"] == "3 without a number are not shown."
    assert found["reward"]["layout"]["meta"]["title"] == "shapes-clip by iteration"


def test_hostile_names_are_shown_as_they_are() -> None:
    title = '<a href="javascript:alert(1)">x</a> & y'
    figure = made(titles={"shapes-clip": title})["reward"]
    shown = figure["layout"]["yaxis"]["title"]["text"]
    assert "<" not in shown and shown.startswith("&lt;a href=")
    assert figure["layout"]["meta"]["title"].startswith(title)  # the page makes it a text node


def test_many_candidates_are_all_there_and_quickly() -> None:
    shown = view()
    rows = [iteration(1, index, [i / 256 for i in range(256)], [1, 2]) for index in range(64)]
    shown["config"]["search"] |= {"num_iterations": 64, "num_candidates": 256}
    shown["iterations"] = rows
    figures(shown, rows[:1], 1)
    began = time.process_time()
    found = figures(shown, rows, 1)
    spent = time.process_time() - began
    dots = [one for one in found["reward"]["data"] if one["name"] in ("Candidates", "Kept")]
    assert sum(len(one["x"]) for one in dots) == 256 * 64 > MANY
    assert {one["type"] for one in dots} == {"scattergl"}
    assert len(found["reward"]["layout"]["xaxis"]["tickvals"]) <= 12
    assert spent < 1
    go.Figure(found["reward"])


# Colours


def luminance(color: str) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira and Fernandes 2009, severity 1, over linear sRGB.
BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab_color(color: str, matrix: Any) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as someone with that blindness sees it."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_stands_out_from_the_page(theme: Theme) -> None:
    for color in (*theme.arms.values(), theme.accent, theme.second, theme.faint, theme.soft, theme.ink):
        assert contrast(color, theme.paper) >= 3, color


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_arms_can_be_told_apart(theme: Theme, blindness: str) -> None:
    seen = {arm: lab_color(color, BLINDNESS[blindness]) for arm, color in theme.arms.items()}
    near = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in itertools.combinations(theme.arms, 2)
    }
    assert min(near.values()) >= 15, sorted(near.items(), key=lambda one: one[1])[:3]


def test_pages_know_the_same_colours() -> None:
    light, dark = (ROOT / "assets/css/charts.css").read_text().split(".dark {")[:2]
    for theme, text in ((LIGHT, light), (DARK, dark)):
        assert dict(re.findall(r"--lab-arm-(\w+): (#\w+);", text)) == theme.arms


def test_what_the_web_process_loads_brings_neither_plotly_nor_scipy() -> None:
    """Each would take it tens of megabytes; modules that are loaded only at need count too."""
    code = "import app.server, app.figures, app.measured, app.reliability_science, sys; " + (
        "sys.exit(bool({'plotly', 'scipy', 'torch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
