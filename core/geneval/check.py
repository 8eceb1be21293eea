"""Does a picture show what a GenEval prompt asks for? Pure functions of what a detector found. No torch.

Rules and thresholds are GenEval's (evaluate_images.py): objects are looked at in order of confidence, only as many as
were asked for; two objects of a relation may overlap by a tenth of their sizes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.geneval.prompts import Scene, Wanted

MAX_OBJECTS = 16
OVERLAP = 0.1  # what GenEval calls its position threshold


@dataclass(frozen=True)
class Found:
    """An object in a picture: its class, confidence in [0, 1], and box (left, top, right, bottom) in pixels."""

    name: str
    score: float
    box: tuple[float, float, float, float]


Namer = Callable[[Found], str | None]  # the colour of an object, by its region


def distinct(found: Sequence[Found], overlap: float) -> tuple[Found, ...]:
    """The most confident first, without those that cover a better one of their class by more than `overlap` (IoU)."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(one.name != other.name or iou(one.box, other.box) <= overlap for other in kept):
            kept.append(one)
    return tuple(kept)


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    shared = _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))
    union = _area(one) + _area(other) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Sequence[float]) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def relations(one: Found, other: Found) -> frozenset[str]:
    """How `one` lies to `other`: a direction counts from half of the distance between their centres on."""
    offset, past = [], []
    for axis in (0, 1):
        centres = [(found.box[axis] + found.box[axis + 2]) / 2 for found in (one, other)]
        sizes = [abs(found.box[axis + 2] - found.box[axis]) for found in (one, other)]
        offset.append(centres[0] - centres[1])
        past.append(math.copysign(max(abs(offset[axis]) - OVERLAP * sum(sizes), 0), offset[axis]))
    if all(abs(value) < 1e-3 for value in past):
        return frozenset()
    x, y = (value / math.hypot(*offset) for value in past)
    told = {"left of": x < -0.5, "right of": x > 0.5, "above": y < -0.5, "below": y > 0.5}
    return frozenset(name for name, true in told.items() if true)


@dataclass(frozen=True)
class Verdict:
    """`strict`: all is as asked. `partial`: how much of it, from 0 to 1."""

    strict: bool
    partial: float


def judge(scene: Scene, found: Sequence[Found], color_of: Namer) -> Verdict:
    """Check what was found, most confident first, against what was asked for.

    Strict is GenEval's verdict. Partial credit follows Flow-GRPO (arXiv 2505.05470): a number is credited with
    1 - |found - asked| / asked, and where a colour or a place is asked as well, the right number earns half and the
    share of objects in that colour or place the other half; several entries are averaged.
    """
    chosen = [[one for one in found if one.name == wanted.name][:MAX_OBJECTS] for wanted in scene.wanted]
    credits = []
    for wanted, objects in zip(scene.wanted, chosen, strict=True):
        number = _number(wanted, len(objects), exact=scene.task == "counting")
        kind = _kind(wanted, objects, chosen, color_of)
        credits.append(number if kind is None else (number + kind * (number == 1)) / 2)
    return Verdict(all(credit == 1 for credit in credits), sum(credits) / len(credits))


def _number(wanted: Wanted, there: int, *, exact: bool) -> float:
    """More than was asked for is wrong only where a number was asked for."""
    counted = there if exact else min(there, wanted.count)
    return max(0.0, 1 - abs(counted - wanted.count) / wanted.count)


def _kind(wanted: Wanted, objects: list[Found], chosen: list[list[Found]], color_of: Namer) -> float | None:
    """The share of the objects looked at that have the colour or place; None where neither is asked."""
    looked_at = objects[: wanted.count]
    if wanted.color:
        return sum(color_of(one) == wanted.color for one in looked_at) / wanted.count
    if wanted.position:
        relation, target = wanted.position
        return float(
            bool(looked_at and chosen[target])
            and all(relation in relations(one, other) for one in looked_at for other in chosen[target][:1])
        )
    return None
