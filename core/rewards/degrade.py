"""A reward made worse on purpose: at which reliability does a search stop helping? Standard library only.

`NAME~0.6` ranks candidates by the reward NAME plus noise, so much that the rank correlation (Spearman) of what is
ranked by with the reward itself is .6 on average, whatever the reward's spread at that timestep. `NAME~0.6#7` draws
other noise. Only where candidates are ranked against each other is the noise added; what is reported of a picture that
stands alone (a step, an outcome, where a candidate really leads) is the reward as it is.
"""

import hashlib
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"(?P<reward>.+)~(?P<reliability>0?\.\d{1,6}|1(?:\.0{1,6})?)(?:#(?P<seed>\d{1,9}))?")
_STANDARD = statistics.NormalDist()


@dataclass(frozen=True)
class Degradation:
    """A reward's name, the rank correlation that is left, and which noise."""

    reward: str
    reliability: float
    seed: int = 0


def read_degraded(name: str) -> Degradation | None:
    """What a name such as `pickscore~0.6` or `pickscore~0.6#7` means; None for a name of another kind."""
    found = _NAME.fullmatch(name)
    if not found or "~" in found["reward"] or float(found["reliability"]) == 0:
        return None
    return Degradation(found["reward"], float(found["reliability"]), int(found["seed"] or 0))


def noise_ratio(reliability: float) -> float:
    """The noise's standard deviation in units of the scores' own, for a Spearman correlation in (0, 1].

    Of two normal variables Pearson's correlation is r = 2 sin(pi rho / 6); noise of ratio s leaves r = 1/sqrt(1 + s^2).
    """
    if not 0 < reliability <= 1:
        raise ValueError(f"expected a reliability above 0 and at most 1, got {reliability:g}")
    pearson = 2 * math.sin(math.pi * reliability / 6)
    return math.sqrt(max(0.0, 1 / pearson**2 - 1))


def standard_noise(picture: bytes, prompt: str, seed: int) -> float:
    """A standard normal number that is always the same for a picture's bytes, a prompt and a seed."""
    digest = hashlib.sha256(b"%d\0%s\0%s" % (seed, prompt.encode(), picture)).digest()
    return _STANDARD.inv_cdf((int.from_bytes(digest[:6], "big") + 0.5) / 2**48)


class DegradedReward:
    """Another reward's scores; `degrade` makes of a group's scores what its members are ranked by."""

    def __init__(self, reward: Any, degradation: Degradation, name: str) -> None:
        """`reward` is the undegraded one, loaded."""
        self.reward = reward
        self.degradation = degradation
        self.name = name

    def __call__(self, images: Any, prompts: Sequence[str]) -> Any:
        """The reward's own scores (B,) of images (B, 3, H, W) in [0, 1]."""
        return self.reward(images, prompts)

    def degrade(self, values: Sequence[float], pictures: Iterable[Any], prompt: str) -> tuple[float, ...]:
        """A group's scores with noise, in units of the group's own spread; scores that are not finite stay so.

        `pictures` are arrays (H, W, 3) of bytes, so that the noise is that of the picture as it would be saved.
        """
        sound = [value for value in values if math.isfinite(value)]
        spread = statistics.pstdev(sound) if sound else 0.0
        size = noise_ratio(self.degradation.reliability) * spread
        draws = (standard_noise(picture.tobytes(), prompt, self.degradation.seed) for picture in pictures)
        return tuple(value + size * draw for value, draw in zip(values, draws, strict=True))
