"""What is told of a measurement, on made-up ones of which it is known."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from app.measurements import chosen_of
from app.reliability import read_arrays
from app.reliability_export import columns, npz, safe_text, table_lines
from app.reliability_figures import figures
from app.reliability_science import explore_config, findings, points, signals
from app.reliability_simulation import simulated
from core.config import from_dict
from core.errors import LabError
from core.plan import search_nfe
from core.reliability import analyse, mean_interval
from core.schedule import in_window, shifted
from tests.unit.measured_examples import HELD, LEARNED, config_of, measured

RISING = [0.0, 0.0, 0.1, 0.5, 0.8, 0.9]


def test_the_window_holds_the_steps_that_rank_and_gain_and_no_others() -> None:
    told = findings(measured(RISING))
    assert told["window"]["steps"] == [4, 5] or told["window"]["steps"] == [3, 4, 5]
    sigmas = shifted(10)
    assert (told["window"]["low"], told["window"]["high"]) == (sigmas[5], sigmas[told["window"]["steps"][0]])
    gains = [row["expected_gain"] for row in told["curves"]["sde"]["own"]]
    assert told["window"]["gain"] == max(gains[step] for step in told["window"]["steps"])
    narrow = findings(measured(RISING, [1, 1, 1, 1, 1, 0.1]))
    assert narrow["window"]["steps"] in ([3, 4], [4]), "a step that gains little is not recommended"


def test_a_window_must_gain_on_what_the_search_does_not_see() -> None:
    assert findings(measured(RISING, held=-1.0))["window"] is None
    assert findings(measured(RISING, held=0.0))["window"] is None
    alone = replace(config_of(12, steps=tuple(range(6))), base=replace(config_of(1).base, rewards={LEARNED: 1.0}))
    assert findings(measured(RISING, config=alone))["window"] is not None, "nothing was held out"


def test_a_step_to_sigma_zero_is_shown_and_never_recommended() -> None:
    config = config_of(12, base=replace(config_of(1).base, num_steps=3), steps=(0, 1, 2))
    told = findings(measured([0.0, 0.8, 1.0], config=config))
    # One step before the end the ODE's only step is the one-step guess.
    assert [row["trivial"] for row in told["curves"]["sde"]["own"]] == [False, True, True]
    assert [row["trivial"] for row in told["curves"]["literal"]["own"]] == [False, False, True]
    assert told["window"] is None
    longer = findings(measured([0.0, 0.8, 1.0], config=replace(config, base=replace(config.base, num_steps=4))))
    assert longer["window"]["steps"] == [1]
    assert signals(measured([0.0, 0.8, 1.0], config=config), LEARNED) == {0: "none", 1: "signal", 2: "signal"}
    only = findings(measured([1.0], config=replace(config, steps=(2,))))
    assert only["window"] is None and only["sentence"] == ""


def test_curves_say_what_core_says_with_cost_and_distance() -> None:
    found = measured(RISING)
    told = findings(found)
    row = told["curves"]["sde"]["own"][4]
    exact = analyse(
        found.proxy["sde"][LEARNED], found.truth[LEARNED], sigmas=found.sigmas, draw=5, prompts=list(found.prompts)
    )
    assert row["spearman_median"] == exact.timesteps[4].spearman_median
    assert (row["step"], row["nfe"], row["latent_distance"]) == (4, 2.0, pytest.approx(0.1))
    assert told["curves"]["5-step"]["own"][0]["spearman_median"] == pytest.approx(1)
    assert abs(told["curves"]["literal"]["own"][4]["spearman_median"]) < 0.3
    assert set(told["curves"]["sde"]["held_out"]) == {HELD} and set(told["proxies"]) == {LEARNED, HELD}


def test_realised_gain_hacking_and_averaging_in_closed_form() -> None:
    told = findings(measured(RISING, [2.0] * 6))
    best = [row for row in told["realised"] if row["mode"] == "best" and row["reward"] == LEARNED]
    assert [row["step"] for row in best] == list(range(6))
    assert all(row["gain"] == pytest.approx(1.0) and row["low"] == pytest.approx(1.0) for row in best)
    assert all(row["gap"] == pytest.approx(0, abs=1e-9) for row in told["hacking"]), "both gain half a spread"
    assert all(row["gap"] == pytest.approx(-0.25) for row in told["averaging"])
    against = findings(measured(RISING, held=-1.0))["hacking"]
    assert all(row["gap"] == pytest.approx(1.0, abs=0.2) for row in against), "half a spread up, half a spread down"


def test_between_seeds_needs_several_and_whole_prompts() -> None:
    assert findings(measured(RISING))["between"] == []
    found = measured(RISING, config=config_of(6, 4, steps=tuple(range(6))))
    rows = findings(found)["between"]
    assert [row["step"] for row in rows] == list(range(6)) and rows[0]["rows"] == 6
    assert rows[0]["spearman_median"] == pytest.approx(1)


def test_the_sentence_is_silent_where_too_little_is_known() -> None:
    sure = findings(measured(RISING))["sentence"]
    assert sure.startswith("Up to step 3 (σ .91) the guess's reward ranks siblings no better than chance; ")
    assert "the most is to be gained at step " in sure and "recommended where σ is from" in sure
    assert findings(measured(RISING, config=config_of(3, steps=tuple(range(6)))))["sentence"] == ""
    few = replace(config_of(5, steps=tuple(range(6))), num_siblings=4)
    assert findings(measured([0.2] * 6, config=few))["sentence"] == ""
    none = findings(measured([0.0] * 6))["sentence"]
    assert none.endswith("no timestep can be recommended for a search.") and "to be gained" not in none


def test_few_prompts_tell_no_interval_and_recommend_nothing() -> None:
    told = findings(measured(RISING, config=config_of(4, 3, steps=tuple(range(6)))))
    row = told["curves"]["sde"]["own"][5]
    assert row["spearman_low"] is None and row["spearman_median"] > 0.5
    assert told["few_prompts"] and told["window"] is None and told["sentence"] == ""
    assert all(one["low"] is None and one["gain"] is not None for one in told["realised"])
    assert not findings(measured(RISING, config=config_of(5, steps=tuple(range(6)))))["few_prompts"]
    assert math.isnan(mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0, 1, 2, 3, 3]))[1])
    values = np.array([1.0, 1.0, 1.0, 1.0, math.nan, 5.0, 5.0])
    mean, low, high = mean_interval(values, np.array([0, 1, 2, 3, 3, 4, 4]))
    assert mean == pytest.approx(14 / 6) and 1.0 <= low < mean < high <= 5.0


def test_rewards_that_are_not_finite_are_none_and_break_nothing() -> None:
    found = measured(RISING)
    for values in (found.truth[LEARNED], found.proxy["sde"][LEARNED], found.truth[HELD]):
        values[0, :3] = math.nan
        values[1] = math.nan
    found.returned["sde"]["best"][LEARNED][2] = math.nan
    found.averaged["sde"][:] = math.nan
    told = findings(found)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["averaging"][0]["averaged"] is None and told["realised"][0]["gain"] is not None
    assert told["curves"]["sde"]["own"][0]["missing"] == 19


def test_points_tell_how_far_apart_siblings_are_ranked() -> None:
    config = replace(config_of(1, steps=(0,)), num_siblings=4)
    found = measured([0.0], config=config)
    found.proxy["sde"][LEARNED][0, :, 0] = [4, 3, 2, 1]
    found.truth[LEARNED][0, :, 0] = [1, 3, 2, 4]
    rows = points(found, 0, "sde", LEARNED, LEARNED)
    assert [row["surprise"] for row in rows] == [1.0, 0.0, 0.0, 1.0]
    assert [row["sibling"] for row in rows] == [0, 1, 2, 3] and {row["row"] for row in rows} == {0}
    found.truth[LEARNED][0, 0, 0] = math.nan
    assert [row["surprise"] for row in points(found, 0, "sde", LEARNED, LEARNED)] == [None, 0.5, 0.5, 1.0]


@pytest.mark.parametrize("asked", [{"step": "9"}, {"step": "x"}, {"estimate": "tea"}, {"proxy": "no"}, {"truth": "-"}])
def test_what_was_not_measured_cannot_be_chosen(asked: dict[str, str]) -> None:
    with pytest.raises(LabError):
        chosen_of(measured(RISING), asked)


def test_explore_opens_in_the_window_at_the_same_cost() -> None:
    found = measured(RISING)
    advised, sigmas = findings(found)["window"], shifted(10)
    config = from_dict(explore_config(found.config, advised, sigmas))
    assert config.search.preset == "smart-grpo-gated" and config.search.reading == "sde"
    inside = in_window(sigmas, config.window_min, config.window_max)
    assert [step for step, yes in enumerate(inside) if yes] == advised["steps"]
    usual = replace(config, window_min=0.3, window_max=0.8, search=replace(config.search, num_candidates=5))
    assert search_nfe(config, sigmas, 2) <= search_nfe(usual, sigmas, 2)
    assert config.prompt == "prompt 0" and config.rewards == {LEARNED: 1.0, HELD: 0.0}
    assert explore_config(found.config, None, sigmas) is None
    from_noised = replace(found.config, start_sigma=0.5)
    assert explore_config(from_noised, {"low": 0.99, "high": 0.995}, [0.5 * s for s in sigmas]) is None


def test_signals_tell_noise_from_not_knowing() -> None:
    found = measured(RISING)
    told = signals(found, LEARNED)
    assert told[0] == told[1] == "none" and told[4] == told[5] == "signal"
    few = signals(measured(RISING, config=config_of(3, steps=tuple(range(6)))), LEARNED)
    assert "none" not in few.values()
    found.proxy["sde"][HELD][:] = 0.0
    assert set(signals(found, HELD).values()) == {"none"}, "the same for all says nothing"


def test_strategies_on_a_measurement() -> None:
    found = measured(RISING)
    by_name = {one["name"]: one for one in simulated(found, 4, 5, LEARNED)["outcomes"]}
    assert by_name["blind"]["gain"] == pytest.approx(0, abs=0.1) and by_name["blind"]["nfe"] == 0
    assert by_name["best of 5, whole way"]["gain"] == pytest.approx(by_name["best of 5, 5-step"]["gain"])
    assert by_name["best of 5, whole way"]["gain"] > by_name["best of 5, sde"]["gain"] > 0.4
    assert by_name["best of 5, sde"]["nfe"] == 10 and by_name["best 2 of 5 by sde, then 5-step"]["nfe"] == 30
    assert (
        by_name["best of 5, sde"]["gain"] > by_name["elites of 5, sde"]["gain"] > by_name["best of 5, literal"]["gain"]
    )
    found.truth[LEARNED][0, 0, 4] = math.nan
    assert simulated(found, 4, 5, LEARNED)["rows"] == 11
    found.truth[LEARNED][:, 0, 4] = math.nan
    with pytest.raises(LabError, match="no row"):
        simulated(found, 4, 5, LEARNED)


@pytest.mark.parametrize("dark", [False, True])
def test_every_chart_is_strict_json_that_plotly_knows(dark: bool) -> None:
    found = measured(RISING)
    chosen = chosen_of(found, {"step": "3"})
    titles = {LEARNED: "<b>Learned</b>"}
    made = figures(found, findings(found), chosen, titles, [0.1] * 10, dark=dark)
    assert list(made) == ["curve", "gain", "scatter", "realised", "distance"]
    for figure in made.values():
        assert json.loads(json.dumps(figure, allow_nan=False)) == figure
        go.Figure(figure)
        assert figure["layout"]["meta"]["title"]
        assert "<b>" not in json.dumps(figure["layout"]["xaxis"]) + json.dumps([one["name"] for one in figure["data"]])
    curve = next(one for one in made["curve"]["data"] if one["name"] == "sde")
    assert curve["customdata"][3] == [3, None, None] and curve["x"] == [1, 2, 3, 4, 5, 6]
    dots = [point for one in made["scatter"]["data"] for point in one["customdata"]]
    assert sorted(dots) == [[row, k] for row in range(12) for k in range(16)]
    assert abs(sum(x for one in made["scatter"]["data"] for x in one["x"])) < 1e-9, "less each row's mean"
    low, high = made["curve"]["layout"]["yaxis"]["range"]
    lines = [value for one in made["curve"]["data"] for value in one["y"] if value is not None]
    assert low <= min(lines) and max(lines) <= high
    window = findings(found)["window"]["steps"]
    assert [shape["x0"] for shape in made["curve"]["layout"]["shapes"]] == [step + 0.5 for step in window]


def test_the_arrays_can_be_analysed_elsewhere(tmp_path: Path) -> None:
    found = measured(RISING)
    (tmp_path / "it.npz").write_bytes(npz(found))
    arrays = read_arrays(tmp_path / "it.npz")
    assert np.array_equal(arrays["proxy"], found.proxy["sde"][LEARNED])
    assert analyse(**arrays).timesteps[5].spearman_median > 0.7
    with np.load(tmp_path / "it.npz", allow_pickle=False) as file:
        assert np.array_equal(file["proxy.5-step.shapes-verifier"], found.proxy["5-step"][HELD])
        assert "truth.total" in file.files


class Stored:
    """A row as the database has it."""

    row, prompt, seed, step, sigma, sigma_next = 1, '=HYPERLINK("x")', 3, 2, 0.5, 0.4
    data = {
        "truth": {LEARNED: [0.5, None], HELD: [1, 2], "total": [0.5, None]},
        "proxy": {"sde": {LEARNED: [0.25, 0.75], HELD: [0, 0], "total": [0.25, 0.75]}},
        "latent_distance": {"sde": [0.1, 0.2]},
        "pixel_distance": {"sde": [0.3, 0.4]},
    }


def test_the_table_has_a_line_a_sibling_and_no_formula() -> None:
    config = replace(config_of(2), num_siblings=2, estimates=("sde",))
    lines = list(
        csv.DictReader(io.StringIO(",".join(columns(config)) + "\r\n" + "".join(table_lines(config, [Stored]))))
    )
    assert [(line["row"], line["sibling"], line["truth shapes-clip"]) for line in lines] == [
        ("1", "0", "0.5"),
        ("1", "1", ""),
    ]
    assert lines[0]["prompt"] == '\'=HYPERLINK("x")' and lines[1]["sde pixel distance"] == "0.4"
    assert [safe_text(text) for text in ("a photo", "-1", "@x", "\tx")] == ["a photo", "'-1", "'@x", "'\tx"]
