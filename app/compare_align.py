"""Timesteps of several schedules under one cursor. Pure functions; no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

NEAR = 1e-6  # noise levels closer than this are the same


def moments(sigmas: Mapping[str, Sequence[float]], initial: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The timesteps that a cursor goes through: `sigma`, and the `steps` of each letter that belong there.

    `sigmas` are the noise levels of each letter's schedule, one more than it has steps; the longest schedule leads, and
    in every other the step that begins nearest to its noise level is shown. Letters in `initial` searched their first
    noise: then there is a moment -1 before the first, for them alone. Letters that have not begun are left out.
    """
    begun = {letter: list(levels)[:-1] for letter, levels in sigmas.items() if len(levels) > 1}
    if not begun:
        return []
    leader = max(begun.values(), key=len)
    found = [
        {"sigma": sigma, "steps": {letter: _nearest(levels, sigma, place) for letter, levels in begun.items()}}
        for place, sigma in enumerate(leader)
    ]
    first = [{"sigma": leader[0], "steps": {letter: -1 for letter in initial if letter in begun}, "initial": True}]
    return (first if first[0]["steps"] else []) + found


def same_schedule(sigmas: Mapping[str, Sequence[float]]) -> bool:
    """Whether all that have begun go through the same noise levels."""
    begun = [list(levels) for levels in sigmas.values() if len(levels) > 1]
    return all(
        len(one) == len(begun[0]) and all(abs(a - b) < NEAR for a, b in zip(one, begun[0], strict=True))
        for one in begun
    )


def _nearest(levels: Sequence[float], sigma: float, place: int) -> int:
    """The step that begins nearest to `sigma`; among equally near ones that of the same place, else the first."""
    least = min(abs(level - sigma) for level in levels)
    near = [step for step, level in enumerate(levels) if abs(level - sigma) <= least + NEAR]
    return place if place in near else near[0]
