"""What every reward must keep to, as a check that tests and the doctor share."""

import math
from collections.abc import Sequence

from torch import Tensor

from core.errors import RewardError
from core.rewards.protocol import Reward, score

TOLERANCE = 1e-4


def violations(
    reward: Reward,
    images: Tensor,
    prompts: Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    bounds: tuple[float | None, float | None] = (None, None),
    finite: bool = False,
) -> list[str]:
    """What a reward does wrong on two or more images (B, 3, H, W) in [0, 1] and their prompts; empty when all is well.

    Checked: a name; one float an image for a batch and for a single image; the same scores when asked again; scores
    that do not depend on the batch (alone, and in reverse order) beyond `tolerance`; images left as they were; scores
    within `bounds` (lowest and highest, None for no bound); with `finite` at least one score that is a finite number.
    """
    if len(images) < 2 or len(prompts) != len(images):
        raise RewardError(f"expected at least two images, each with a prompt, got {len(images)} and {len(prompts)}")
    found = [] if reward.name else ["its name is empty"]
    before = images.clone()
    try:
        whole = score(reward, images, prompts)
        again = score(reward, images, prompts)
        alone = tuple(score(reward, images[i : i + 1], prompts[i : i + 1])[0] for i in range(len(images)))
        turned = score(reward, images.flip(0), list(reversed(prompts)))[::-1]
    except RewardError as error:
        return [*found, str(error)]
    if not _agree(whole, again, 0.0):
        found.append(f"it is not repeatable: {whole}, then {again}")
    if not _agree(whole, alone, tolerance):
        found.append(f"a score depends on its batch: {whole} together, {alone} alone")
    if not _agree(whole, turned, tolerance):
        found.append(f"a score depends on its place in the batch: {whole} in order, {turned} reversed")
    if not before.equal(images):
        found.append("it changed the images it was given")
    low, high = (-math.inf if bounds[0] is None else bounds[0]), (math.inf if bounds[1] is None else bounds[1])
    beyond = [value for value in whole if math.isfinite(value) and not low - tolerance <= value <= high + tolerance]
    if beyond:
        found.append(f"it leaves its range from {low:g} to {high:g}: {beyond[0]:g}")
    if finite and not any(map(math.isfinite, whole)):
        found.append(f"none of its scores is a finite number: {whole}")
    return found


def _agree(one: Sequence[float], other: Sequence[float], tolerance: float) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= tolerance for a, b in pairs)
