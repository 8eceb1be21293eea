"""What a trial of a trained model comes to: paired gains, and intervals over different captions."""

import pytest

from app.evaluating import result_of
from core.experiment_stats import mean_interval

BEFORE, AFTER = [0.1, 0.5, 0.9, 0.2], [0.3, 0.6, 0.8, None]


def rows(before: list[float | None], after: list[float | None]) -> list[dict]:
    return [
        {"model": model, "arm": "ode", "prompt": place, "rewards": {"r": value}, "nfe": 10, "seconds": 1.0}
        for model, values in (("base", before), ("trained", after))
        for place, value in enumerate(values)
    ]


def test_a_caption_that_was_drawn_twice_narrows_no_interval() -> None:
    once = result_of(rows(BEFORE, AFTER), {"r": 2.0}, list("abcd"))
    twice = result_of(rows(BEFORE * 2, AFTER * 2), {"r": 2.0}, list("abcd" * 2))
    assert (once["prompts"], once["different"], twice["prompts"], twice["different"]) == (4, 4, 8, 4)
    (one,), (both,) = once["gains"], twice["gains"]
    expected = mean_interval([0.2, 0.1, -0.1])
    for gain in (one, both):
        told = gain["rewards"]["r"]
        assert (told["mean"], told["low"], told["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
        assert told["count"] == 3
        assert gain["rewards"]["total"]["mean"] == pytest.approx(2 * expected.mean)
    base = twice["arms"][0]["rewards"]["r"]
    assert (base["mean"], base["count"]) == (pytest.approx(0.425), 4)


def test_where_nothing_can_be_told_nothing_is() -> None:
    told = result_of(rows([None], [0.5]), {"r": 1.0}, ["a"])
    assert told["gains"][0]["rewards"]["r"] is None and told["arms"][1]["rewards"]["r"]["low"] is None
