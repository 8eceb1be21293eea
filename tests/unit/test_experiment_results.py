"""What runs of an experiment say, on curves whose answers are known."""

from typing import Any

import pytest

from core.experiment_results import contrast, gain, over_seeds, results, sentence

MEASURES = {"heldout": "Held-out reward"}


def curve(values: list[float | None], nfe: int = 10, seconds: float = 1.0) -> list[dict[str, Any]]:
    return [
        {"epoch": i, "nfe": nfe * i, "seconds": seconds * i, "metrics": {} if v is None else {"heldout": v}}
        for i, v in enumerate(values)
    ]


CHEAP = {seed: curve([0.0, 0.1 + 0.01 * seed, 0.2, 0.3 + 0.01 * seed]) for seed in range(3)}
DEAR = {seed: curve([0.0, None, 0.3 + 0.02 * seed], nfe=30, seconds=4.0) for seed in range(3)}


def test_curves_are_averaged_over_the_epochs_that_every_seed_has() -> None:
    rows = over_seeds(CHEAP | {3: curve([0.0, None, 0.2])}, "heldout")
    assert [row["epoch"] for row in rows] == [0, 2] and rows[1]["nfe"] == 20 and rows[1]["seeds"] == 4
    assert rows[1]["mean"] == rows[1]["low"] == rows[1]["high"] == pytest.approx(0.2)
    assert over_seeds({}, "heldout") == [] and over_seeds(CHEAP, "other") == []


def test_a_gain_is_paired_with_its_own_beginning() -> None:
    found = gain(CHEAP, "heldout")
    assert found is not None and found["first"]["mean"] == 0.0 and found["gain"]["mean"] == pytest.approx(0.31)
    assert found["gain"]["low"] > 0 and gain({0: curve([0.5])}, "heldout") is None


@pytest.mark.parametrize(
    ("axis", "budget", "cheap", "dear"), [("epoch", 2, 0.2, 0.32), ("nfe", 30, 0.31, 0.16), ("seconds", 3, 0.31, 0.12)]
)
def test_arms_are_compared_at_what_both_have_spent(axis: str, budget: float, cheap: float, dear: float) -> None:
    found = contrast(DEAR, CHEAP, "heldout", axis)
    assert found is not None and found["budget"] == budget
    assert (found["value"]["mean"], found["against"]["mean"]) == pytest.approx((dear, cheap))
    assert found["difference"]["mean"] == pytest.approx(dear - cheap) and not found["underpowered"]


def test_one_seed_says_nothing_and_too_much_spread_is_underpowered() -> None:
    alone = contrast({0: CHEAP[0]}, DEAR, "heldout", "epoch")
    assert alone is not None and alone["underpowered"] and alone["detectable"] is None
    noisy = {seed: curve([0.0, 0.1, value]) for seed, value in enumerate((0.1, 0.5, 0.3))}
    found = contrast(noisy, CHEAP, "heldout", "epoch")
    assert found is not None and found["underpowered"] and found["detectable"] > 0.2
    assert contrast({}, CHEAP, "heldout", "epoch") is None and contrast(CHEAP, DEAR, "other", "epoch") is None


def test_the_very_same_in_every_seed_is_no_want_of_seeds() -> None:
    found = contrast(CHEAP, CHEAP, "heldout", "epoch")
    assert found is not None and not found["underpowered"] and found["difference"]["mean"] == 0
    told = {"one": "a", "other": "b", "measure": "heldout", **found}
    assert sentence(told, MEASURES).endswith("over 3 seeds. No seed shows a difference.")


def test_contrasts_are_told_in_words() -> None:
    found = results({"cheap": CHEAP, "dear": DEAR}, [("dear", "cheap")], MEASURES, {"cheap": {}, "dear": {}})
    assert [one["axis"] for one in found["contrasts"]] == ["epoch", "nfe", "seconds"]
    told = sentence(found["contrasts"][0], MEASURES)
    assert told.startswith(
        "Held-out reward, after 2 epochs: dear less cheap is +0.1200 [+0.0703, +0.1697] over 3 seeds"
    )
    alone = results({"cheap": {0: CHEAP[0]}, "dear": DEAR}, [("dear", "cheap")], MEASURES, {"cheap": {}, "dear": {}})
    assert "one seed has no interval" in sentence(alone["contrasts"][0], MEASURES)
    assert found["arms"]["dear"]["cost"] == {"epoch": 2, "nfe": 60, "seconds": 8.0}
