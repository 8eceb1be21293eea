"""The README's reliability table, from made-up events whose correlation is known."""

import numpy as np
import pytest

from core.events import Cost, Returned, SiblingsMeasured
from core.measure_config import ESTIMATES
from core.shapes.compare import held_out_captions
from core.shapes.measure import LEARNED, VERIFIER, advised_window, analyses, as_markdown, config_for, realised

SIGMAS = (0.9, 0.6, 0.3)


def event(row: int, step: int, rng: np.random.Generator) -> SiblingsMeasured:
    """The guess is the truth under noise that fades with the steps; the verifier's truth is half of it."""
    truth = rng.normal(size=16)
    guess = truth + (2 - step) * 3 * rng.normal(size=16)
    proxy = {LEARNED: tuple(guess), VERIFIER: tuple(guess), "total": tuple(guess)}
    best = {LEARNED: float(truth.mean()) + 0.5, VERIFIER: float(truth.mean()) / 2}
    returned = Returned((0, 1), {mode: best for mode in ("mean", "mean_on_shell", "best")}, 0.0, 0.0)
    return SiblingsMeasured(
        row=row,
        prompt=f"prompt {row}",
        seed=0,
        step=step,
        sigma=SIGMAS[step],
        sigma_next=0.0,
        proxy=dict.fromkeys(ESTIMATES, proxy),
        truth={LEARNED: tuple(truth), VERIFIER: tuple(truth / 2), "total": tuple(truth)},
        walked={},
        ended={},
        latent_distance={},
        pixel_distance={},
        returned={"sde": returned, "literal": returned},
        guesses=None,
        finals=None,
        cost=dict.fromkeys(ESTIMATES, Cost()),
        truth_cost=Cost(),
    )


@pytest.fixture(scope="module")
def events() -> list[SiblingsMeasured]:
    rng = np.random.default_rng(0)
    return [event(row, step, rng) for row in range(12) for step in range(3)]


def test_correlations_rise_as_the_noise_fades(events: list[SiblingsMeasured]) -> None:
    found = analyses(events)
    medians = [one.spearman_median for one in found[f"sde {LEARNED} > {LEARNED}"].timesteps]
    assert medians == sorted(medians)
    assert medians[-1] == pytest.approx(1)
    assert found[f"sde {LEARNED} > {VERIFIER}"].timesteps[-1].slope == pytest.approx(0.5)


def test_the_realised_gain_is_over_a_random_sibling(events: list[SiblingsMeasured]) -> None:
    for row in realised(events):
        assert row[f"best {LEARNED}"] == pytest.approx([0.5, 0.5, 0.5], abs=1e-4)
        assert row[f"mean {VERIFIER}"] == pytest.approx([0, 0, 0], abs=1e-4)


def test_where_the_guess_is_the_truth_itself_is_no_recommendation(events: list[SiblingsMeasured]) -> None:
    found = analyses(events)
    assert found[f"sde {LEARNED} > {LEARNED}"].timesteps[-1].expected_gain > 0.5
    advised = advised_window(found)
    assert advised is None or advised[0] > SIGMAS[-1]


def test_the_table_has_a_line_a_timestep(events: list[SiblingsMeasured]) -> None:
    lines = as_markdown(analyses(events), realised(events)).splitlines()
    assert len(lines) == 2 + 3
    assert len({line.count("|") for line in lines}) == 1
    assert "+0.500 [+0.500, +0.500]" in lines[2]


def test_the_measured_prompts_are_held_out_and_different() -> None:
    config = config_for(held_out_captions(16), 2, 16, "cps")
    assert len(set(config.prompts)) == 16
    assert config.base.step_kind == "cps"
    assert config.measured_steps == tuple(range(9))
