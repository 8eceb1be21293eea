import numpy as np
import pytest

from core.reliability import selection_intensity
from core.simulate import Strategy, simulate

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(400, 25))
PROXIES = {"sde": 0.5 * TRUTH + np.sqrt(0.75) * RNG.normal(size=TRUTH.shape), "5-step": TRUTH + 1e-9}
NFE = {"sde": 2.0, "5-step": 10.0, "truth": 18.0}


def gains(*strategies: Strategy) -> list[float]:
    return [one.gain for one in simulate(strategies, PROXIES, TRUTH, NFE)]


def test_gains_are_those_of_normal_order_statistics() -> None:
    blind, one, elites, oracle = gains(
        Strategy("blind", 5),
        Strategy("best of 5", 5, estimate="sde"),
        Strategy("elites", 5, keep=2, estimate="sde"),
        Strategy("oracle", 5, estimate="truth"),
    )
    assert blind == pytest.approx(0.0, abs=0.02)
    assert one == pytest.approx(0.5 * selection_intensity(5, 1), abs=0.05)
    assert elites == pytest.approx(0.5 * selection_intensity(5, 2), abs=0.05)
    assert oracle == pytest.approx(selection_intensity(5, 1), abs=0.05)


def test_a_second_look_with_a_better_estimate_lies_between() -> None:
    cheap, two, dear = simulate(
        (
            Strategy("cheap", 20, estimate="sde"),
            Strategy("two looks", 20, keep=4, estimate="sde", then="5-step"),
            Strategy("dear", 20, estimate="5-step"),
        ),
        PROXIES,
        TRUTH,
        NFE,
    )
    assert cheap.gain < two.gain < dear.gain
    assert (cheap.nfe, two.nfe, dear.nfe) == (40, 80, 200)
    assert cheap.low < cheap.gain < cheap.high


def test_what_has_no_estimate_is_picked_last() -> None:
    proxy = np.array([[np.nan, 0.1, np.inf]])
    assert simulate([Strategy("one", 3, estimate="p")], {"p": proxy}, np.array([[9.0, 1.0, 9.0]]), {"p": 1})[
        0
    ].gain == pytest.approx(1 - 19 / 3)


@pytest.mark.parametrize(
    "strategy",
    [
        Strategy("x", 26),
        Strategy("x", 2, keep=3),
        Strategy("x", 0),
        Strategy("x", 5, estimate="tea leaves"),
        Strategy("x", 5, estimate="sde", then="tea leaves"),
    ],
)
def test_strategies_that_cannot_be_followed_are_told(strategy: Strategy) -> None:
    with pytest.raises(ValueError, match="expected"):
        gains(strategy)
