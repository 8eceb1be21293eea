"""What a reward is, and the one way the lab calls it."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from core.errors import RewardError
from core.microbatch import is_out_of_memory


class Reward(Protocol):
    """Scores pictures for prompts: higher is better; the same picture and prompt always score the same.

    A picture's score must not depend on what else is in the batch: it is called with as many pictures as fit. What it
    needs of a prompt alone it computes once and keeps. A non-finite score means "no verdict". What its numbers mean and
    the range they lie in is in its `RewardSpec`.
    """

    @property
    def name(self) -> str:
        """The registry's name of the reward."""

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores (B,) of images (B, 3, H, W) float in [0, 1]."""


def score(reward: Reward, images: Tensor, prompts: Sequence[str]) -> tuple[float, ...]:
    """Call a reward without gradients: one float an image, non-finite ones passed through.

    Raises RewardError naming the reward when it raises, or returns anything but one number an image. A device without
    memory left is told as it is, so that whoever calls can try with fewer pictures.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise RewardError(f"{reward.name}: expected images of shape (B, 3, H, W), got {tuple(images.shape)}")
    if len(prompts) != len(images):
        raise RewardError(f"{reward.name}: expected one prompt an image, got {len(prompts)} for {len(images)} images")
    try:
        with torch.no_grad():
            scores = torch.as_tensor(reward(images, prompts))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise RewardError(f"the reward {reward.name} failed with {type(error).__name__}: {error}") from error
    if scores.shape != (len(images),):
        raise RewardError(
            f"{reward.name}: expected one number an image, so shape ({len(images)},), got shape {tuple(scores.shape)}"
        )
    return tuple(float(value) for value in scores.tolist())
