"""What an experiment's finished runs say: curves over seeds, gains over the base, and contrasts between arms.

Pure functions on plain JSON values. A run's curve is a list of epochs {epoch, nfe, seconds, metrics}; seeds are paired.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.experiment_stats import Interval, at_equal, detectable, mean_interval, paired

Curve = Sequence[Mapping[str, Any]]
Arms = Mapping[str, Mapping[int, Curve]]
AXES = ("epoch", "nfe", "seconds")


def points(curve: Curve, measure: str) -> list[tuple[Mapping[str, Any], float]]:
    """The epochs that have a measure, with its value."""
    return [(one, one["metrics"][measure]) for one in curve if one["metrics"].get(measure) is not None]


def over_seeds(curves: Mapping[int, Curve], measure: str) -> list[dict[str, Any]]:
    """By epoch that every seed has: mean and interval of a measure, and the seeds' mean costs until then."""
    by_seed = [{one["epoch"]: (one, value) for one, value in points(curve, measure)} for curve in curves.values()]
    shared = sorted(set.intersection(*(set(one) for one in by_seed))) if by_seed else []
    found = []
    for epoch in shared:
        here = [one[epoch] for one in by_seed]
        costs = {name: sum(row[name] for row, _ in here) / len(here) for name in ("nfe", "seconds")}
        found.append({"epoch": epoch, **costs, **told(mean_interval([value for _, value in here]))})
    return found


def told(interval: Interval) -> dict[str, Any]:
    """An interval as JSON has it."""
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "seeds": interval.count}


def gain(curves: Mapping[int, Curve], measure: str) -> dict[str, Any] | None:
    """What training changed: the last value less the first of each seed; None where no seed was judged twice."""
    ends = [values for curve in curves.values() if len(values := points(curve, measure)) > 1]
    if not ends:
        return None
    first, last = [values[0][1] for values in ends], [values[-1][1] for values in ends]
    return {"first": told(mean_interval(first)), "last": told(mean_interval(last)), "gain": told(paired(last, first))}


def contrast(one: Mapping[int, Curve], other: Mapping[int, Curve], measure: str, axis: str) -> dict[str, Any] | None:
    """One arm against another, paired by seed, at the largest cost on an axis that all their runs reached.

    Between judged epochs a curve is read straight. None where no seed has both. `detectable` is the smallest difference
    that as many seeds with this spread would have shown.
    """
    seeds = sorted(one.keys() & other.keys())
    pairs = [(points(one[seed], measure), points(other[seed], measure)) for seed in seeds]
    pairs = [pair for pair in pairs if all(pair)]
    if not pairs:
        return None
    budget = min(values[-1][0][axis] for pair in pairs for values in pair)
    read = [tuple(_at(values, axis, budget) for values in pair) for pair in pairs]
    whole = [(left, right) for left, right in read if left is not None and right is not None]
    if not whole:
        return None
    lefts, rights = [left for left, _ in whole], [right for _, right in whole]
    difference = paired(lefts, rights)
    differences = [left - right for left, right in whole]
    found = {
        "axis": axis,
        "budget": budget,
        "value": told(mean_interval(lefts)),
        "against": told(mean_interval(rights)),
    }
    needed = detectable(differences)
    found |= {"difference": told(difference), "detectable": needed}
    # Where every seed has the very same in both there is no spread that more seeds could narrow.
    return found | {"underpowered": difference.spans_zero and (needed is not None or len(differences) == 1)}


def _at(values: Sequence[tuple[Mapping[str, Any], float]], axis: str, budget: float) -> float | None:
    return at_equal([row[axis] for row, _ in values], [value for _, value in values], budget)


def results(
    arms: Arms, contrasts: Sequence[tuple[str, str]], measures: Mapping[str, str], configs: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that is told of an experiment, as JSON."""
    by_arm = {
        arm: {
            "config": configs[arm],
            "seeds": sorted(curves),
            "gains": {measure: found for measure in measures if (found := gain(curves, measure))},
            "curves": {measure: over_seeds(curves, measure) for measure in measures},
            "cost": _cost(curves),
        }
        for arm, curves in arms.items()
    }
    compared = [
        {"one": one, "other": other, "measure": measure, **found}
        for one, other in contrasts
        for measure in measures
        for axis in AXES
        if (found := contrast(arms[one], arms[other], measure, axis))
    ]
    return {"arms": by_arm, "contrasts": compared, "measures": dict(measures)}


def _cost(curves: Mapping[int, Curve]) -> dict[str, Any]:
    """Means over seeds of epochs, velocity evaluations and training seconds at the end."""
    ends = [curve[-1] for curve in curves.values() if curve]
    names = ("epoch", "nfe", "seconds")
    return {name: sum(one[name] for one in ends) / len(ends) for name in names} if ends else {}


def sentence(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """A contrast in words."""
    difference, detect = found["difference"], found["detectable"]
    at = {"epoch": "after {:,.0f} epochs", "nfe": "at {:,.0f} velocity evaluations", "seconds": "at {:,.0f} s"}
    place = at[found["axis"]].format(found["budget"])
    subject = f"{words[found['measure']]}, {place}: {found['one']} less {found['other']} is {difference['mean']:+.4f}"
    if difference["low"] is None:
        return f"{subject}: one seed has no interval, so this says nothing yet."
    interval = f"{subject} [{difference['low']:+.4f}, {difference['high']:+.4f}] over {difference['seeds']} seeds"
    if detect is None and difference["mean"] == 0:
        return f"{interval}. No seed shows a difference."
    if not found["underpowered"]:
        return f"{interval}."
    return f"{interval}. Underpowered: they would have shown a difference of {detect:.4f} four times in five."
