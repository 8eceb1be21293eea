"""Paired comparisons: what is paired, when there is an interval, and whether it covers as often as it says."""

import math

import numpy as np
import pytest

from core.versus import FEWEST_SEEDS, Versus, versus


def values(prompts: int, seeds: int, number: float = 0.0) -> dict[tuple[str, int], float]:
    return {(f"prompt {p}", s): number + 0.1 * p + 0.01 * s for p in range(prompts) for s in range(seeds)}


def test_only_shared_prompts_and_seeds_with_a_number_count() -> None:
    one = {("a", 0): 1.0, ("a", 1): 5.0, ("b", 0): math.nan, ("c", 0): 9.0}
    other = {("a", 0): 0.25, ("b", 0): 1.0, ("d", 0): 0.0}
    assert versus(one, other) == Versus(1.0, 0.25, 0.75, None, None, 1, 1, None)
    assert versus(one, {("z", 0): 1.0}) is None


def test_a_constant_gain_is_sure_and_has_no_spread() -> None:
    found = versus(values(5, 2, 0.5), values(5, 2))
    assert found and found.over == "prompts" and (found.pairs, found.prompts) == (10, 5)
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert found.better == "one"
    back = versus(values(5, 2), values(5, 2, 0.5))
    assert back and back.better == "other"


def test_equal_values_have_no_better_one() -> None:
    found = versus(values(6, 1), values(6, 1))
    assert found and found.mean == 0 and found.better is None


def test_few_prompts_need_seeds_and_too_few_of_both_say_nothing() -> None:
    few = versus(values(4, FEWEST_SEEDS - 1, 1.0), values(4, FEWEST_SEEDS - 1))
    assert few and few.over is None and few.low is None and few.better is None
    enough = versus(values(4, FEWEST_SEEDS, 1.0), values(4, FEWEST_SEEDS))
    assert enough and enough.over == "seeds" and enough.better == "one"
    one_poor = values(4, FEWEST_SEEDS, 1.0) | {("lonely", 0): 1.0}
    assert versus(one_poor, values(4, FEWEST_SEEDS) | {("lonely", 0): 0.0}).over == "prompts"  # type: ignore[union-attr]


def test_seeds_are_drawn_within_their_prompt() -> None:
    """Prompts that differ in level must not widen an interval that is only about these prompts."""
    one = {(f"p{p}", s): 10.0 * p + (s % 2) for p in range(3) for s in range(6)}
    found = versus(one, dict.fromkeys(one, 0.0))
    assert found and found.low is not None and found.high is not None
    assert found.mean == pytest.approx(10.5) and found.high - found.low < 1


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, hits, rounds = np.random.default_rng(0), 0, 200
    for _ in range(rounds):
        gain = {(f"p{p}", 0): value for p, value in enumerate(rng.normal(0.3, 1, 20))}
        found = versus(gain, dict.fromkeys(gain, 0.0), num_bootstrap=400)
        assert found and found.low is not None and found.high is not None
        hits += found.low <= 0.3 <= found.high
    assert 0.88 <= hits / rounds <= 0.99
