"""The comparison's arithmetic on rows whose answer is known."""

import numpy as np
import pytest

from core.shapes.compare import ARMS, LEARNED, as_markdown, bootstrap_interval, held_out_captions, summarise
from core.shapes.scenes import is_held_out


def rows(gain: float) -> list[dict]:
    """Every arm of 6 prompts and 2 seeds: no_search is 0 plus its prompt's level, the others `gain` above it."""
    return [
        {
            "arm": arm,
            "prompt": f"p{p}",
            "seed": s,
            LEARNED: p + (0.0 if arm == "no_search" else gain),
            "partial": 0.5,
            "strict": float(p % 2),
            "nfe": 20,
            "decodes": 1,
            "seconds": 0.5,
        }
        for arm in ARMS
        for p in range(6)
        for s in range(2)
    ]


def test_a_constant_gain_has_an_interval_without_width() -> None:
    """Prompts differ by far more than the gain: only the pairing can find it."""
    for row in summarise(rows(0.25)):
        expected = [0.0] * 3 if row["arm"] == "no_search" else [0.25] * 3
        assert row[f"{LEARNED}_gain"] == pytest.approx(expected)
        assert row["partial_gain"] == [0, 0, 0]
        assert row["strict"] == 0.5 and row["nfe"] == 20


def test_the_interval_is_over_prompts_not_over_seeds() -> None:
    """Ten seeds of one prompt tell nothing about other prompts."""
    values = np.repeat(np.array([[0.0], [1.0]]), 10, axis=1)
    assert bootstrap_interval(values) == (0.0, 1.0)
    normal = np.random.default_rng(0).normal(size=(400, 1))
    low, high = bootstrap_interval(normal)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_captions_are_different_and_held_out() -> None:
    captions = held_out_captions(30)
    assert len({caption.text() for caption in captions}) == 30
    assert len({caption.task for caption in captions}) == 6
    for caption in captions:
        if caption.task in ("position", "color_attribution"):
            assert is_held_out(caption.phrases[0], caption.relation, caption.phrases[1])


def test_the_table_names_every_arm() -> None:
    table = as_markdown(summarise(rows(0.25)))
    assert all(f"| {arm} |" in table for arm in ARMS)
    assert "+0.250 [+0.250, +0.250]" in table


def test_gains_can_be_measured_over_any_arm() -> None:
    gains = {row["arm"]: row[f"{LEARNED}_gain"][0] for row in summarise(rows(0.25), against="smart-grpo")}
    assert gains["smart-grpo"] == gains["ode"] == 0
    assert gains["no_search"] == pytest.approx(-0.25)
