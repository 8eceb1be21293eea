"""A stored record computed once more: is what comes the same, and where does it part?

Everything here is drawn from named streams, so the same machine with the same versions repeats a record bit for bit.
Another number of threads, another batch size or another device rounds differently, which is harmless as long as it
stays small; other weights, another version of a sampler or a bug do not stay small.

What is compared is a `Piece`: one event as numbers by name, on both sides. The deviation of two arrays is the largest
difference between them over the largest value of the stored one, so that 1e-3 is "a thousandth of what is there".
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

# On a CPU in float32, batches of 2 instead of 16 changed a search of the embedded model by 2e-6 at most, two threads
# instead of one by 7e-6 (measured). Half precision on a GPU rounds a hundred times more coarsely, and errors grow.
TOLERANCE = 1e-3
IDENTICAL, CLOSE, PARTED, NOTHING = "identical", "close", "parted", "nothing"


@dataclass(frozen=True)
class Piece:
    """One event as far as it can be repeated: where it stands, its numbers by name, and its choices, such as elites.

    `numbers` are float arrays, NaN where there is no finite number. `place` is told to people: plain JSON.
    """

    place: Mapping[str, Any]
    numbers: Mapping[str, np.ndarray]
    choices: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """Where two computations of one thing are not the same: `index` counts within `name`, such as a candidate."""

    place: Mapping[str, Any]
    name: str
    index: int | None
    stored: Any
    again: Any
    deviation: float | None  # None where it has no measure: other choices, a number on one side alone


def deviation(stored: np.ndarray, again: np.ndarray) -> tuple[float, int]:
    """How far two arrays of one shape are apart, and where most (flat index); 0 where they are the same to the bit.

    Infinite where a number stands against none.
    """
    if stored.size == 0 or np.array_equal(stored, again, equal_nan=True):
        return 0.0, 0
    one, other = stored.astype(np.float64).ravel(), again.astype(np.float64).ravel()
    only = np.isfinite(one) != np.isfinite(other)
    if only.any():
        return float("inf"), int(np.argmax(only))
    apart = np.nan_to_num(np.abs(one - other), nan=0.0, posinf=0.0)
    largest = float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0))
    worst = int(np.argmax(apart))
    return float(apart[worst]) / (largest or 1.0), worst


class Comparison:
    """Pieces compared one after another, and what they came to."""

    def __init__(self, tolerance: float = TOLERANCE):
        """What deviates by no more than `tolerance` counts as close."""
        self.tolerance = tolerance
        self.pieces = 0
        self.numbers = 0
        self.largest: dict[str, float | None] = {}
        self.first: Difference | None = None  # that is not the same to the bit
        self.parted: Difference | None = None  # the first beyond the tolerance

    def add(self, stored: Piece, again: Piece) -> None:
        """Compare one event with what was stored of it. A number that only one side has counts as parted."""
        self.pieces += 1
        for name in dict.fromkeys([*stored.numbers, *again.numbers]):
            one, other = stored.numbers.get(name), again.numbers.get(name)
            if one is None or other is None or one.shape != other.shape:
                sizes = _size(one), _size(other)
                self._note(Difference(stored.place, name, None, sizes[0], sizes[1], None))
                continue
            self.numbers += one.size
            far, at = deviation(one, other)
            if far:
                measure, index = far if np.isfinite(far) else None, at if one.size > 1 else None
                then, now = _plain(one.ravel()[at]), _plain(other.ravel()[at])
                self._note(Difference(stored.place, name, index, then, now, measure))
        for name, chosen in stored.choices.items():
            other_choice = again.choices.get(name)
            if other_choice != chosen:
                self._note(Difference(stored.place, name, None, list(chosen), _listed(other_choice), None))

    def _note(self, found: Difference) -> None:
        self.first, measure = self.first or found, found.deviation
        known = self.largest.get(found.name, 0.0)
        self.largest[found.name] = None if measure is None or known is None else max(known, measure)
        if measure is None or measure > self.tolerance:
            self.parted = self.parted or found

    def result(self) -> dict[str, Any]:
        """What all of it came to, as plain JSON: `verdict` is identical, close, parted, or nothing to compare."""
        verdict = PARTED if self.parted else CLOSE if self.first else IDENTICAL if self.pieces else NOTHING
        return {
            "verdict": verdict,
            "pieces": self.pieces,
            "numbers": self.numbers,
            "tolerance": self.tolerance,
            "largest": dict(self.largest),
            "first": asdict(self.first) if self.first else None,
            "parted": asdict(self.parted) if self.parted else None,
        }


def numbers(values: Any) -> np.ndarray:
    """A list of numbers and None, or one of them, as float64 with NaN."""
    return np.array(
        [np.nan if one is None else one for one in (values if isinstance(values, list | tuple) else [values])],
        dtype=np.float64,
    )


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _size(values: np.ndarray | None) -> list[int] | None:
    return None if values is None else list(values.shape)


def _listed(chosen: tuple[int, ...] | None) -> list[int] | None:
    return None if chosen is None else list(chosen)
