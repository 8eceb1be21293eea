"""Two computations of one thing: the same to the bit, close, or parted, and where."""

import math

import numpy as np
import pytest

from core.replay import Comparison, Piece, deviation, numbers

PLACE = {"what": "iteration", "step": 3, "iteration": 0}


def compared(stored: Piece, again: Piece, **how) -> dict:
    comparison = Comparison(**how)
    comparison.add(stored, again)
    return comparison.result()


def piece(values, elites=(0, 1)) -> Piece:
    return Piece(PLACE, {"reward": numbers(values), "norms": numbers([1.0, 1.0])}, {"elites": elites})


def test_the_same_is_identical_whatever_is_not_a_number_in_it():
    told = compared(piece([0.5, None, -math.inf]), piece([0.5, None, -math.inf]))
    assert (told["verdict"], told["pieces"], told["numbers"]) == ("identical", 1, 5)
    assert told["first"] is told["parted"] is None and told["largest"] == {}


def test_rounding_is_close_and_its_size_is_told_over_the_largest_value():
    told = compared(piece([0.5, -2.0]), piece([0.5, -2.0 + 1e-4]))
    assert told["verdict"] == "close" and told["parted"] is None
    assert told["largest"]["reward"] == pytest.approx(5e-5)
    assert told["first"] | {"deviation": 0} == {
        "place": PLACE, "name": "reward", "index": 1, "stored": -2.0, "again": -2.0 + 1e-4, "deviation": 0,
    }  # fmt: skip


def test_what_is_further_apart_parts_and_the_tolerance_decides():
    one, other = piece([0.5, 1.0]), piece([0.5, 1.0 + 4e-3])
    assert compared(one, other)["verdict"] == "parted"
    assert compared(one, other, tolerance=1e-2)["verdict"] == "close"


def test_the_first_place_is_told_and_not_the_worst():
    comparison = Comparison()
    comparison.add(piece([0.5]), piece([0.5]))
    for step, apart in ((4, 1e-5), (5, 0.1), (6, 9.0)):
        comparison.add(Piece({"step": step}, {"x": numbers(1.0)}), Piece({"step": step}, {"x": numbers(1 + apart)}))
    told = comparison.result()
    assert told["first"]["place"] == {"step": 4} and told["parted"]["place"] == {"step": 5}
    assert told["largest"] == {"x": pytest.approx(9.0)} and told["parted"]["index"] is None


@pytest.mark.parametrize(
    ("stored", "again"),
    [
        (piece([0.5, None]), piece([0.5, 0.1])),
        (piece([0.5, 0.1]), piece([0.5, math.inf])),
        (piece([0.5, 0.1]), piece([0.5])),
        (piece([0.5]), Piece(PLACE, {"norms": numbers([1.0, 1.0])}, {"elites": (0, 1)})),
        (piece([0.5]), piece([0.5], elites=(1, 0))),
    ],
    ids=["a number where none was", "none where one was", "fewer", "missing", "other choices"],
)
def test_what_has_no_measure_is_parted(stored, again):
    told = compared(stored, again)
    assert told["verdict"] == "parted" and told["parted"]["deviation"] is None
    assert None in told["largest"].values()


def test_nothing_compared_says_nothing():
    assert Comparison().result()["verdict"] == "nothing"


def test_deviation_of_latents_is_over_their_largest_value():
    one = np.array([[0.0, 4.0], [-2.0, 1.0]], np.float32)
    assert deviation(one, one + np.float32(0.25)) == (0.0625, 0)
    assert deviation(np.zeros(3), np.array([0.0, 0.5, 0.0])) == (0.5, 1)
    assert deviation(np.zeros(0), np.zeros(0)) == (0.0, 0)
