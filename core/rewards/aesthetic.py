"""LAION's aesthetic predictor (sac+logos+ava1-l14-linearMSE): how much people like the look of a picture."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.errors import RewardError
from core.rewards.clip import CLIPReward

WIDTHS = (768, 1024, 128, 64, 16, 1)
DROPOUTS = (0.2, 0.2, 0.1)  # they do nothing here, but stand between the layers that files number


def head() -> nn.Sequential:
    """The linear layers 768-1024-128-64-16-1 under the names that published files have (0, 2, 4, 6, 7)."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False)):
        layers.append(nn.Linear(before, after))
        if index < len(DROPOUTS):
            layers.append(nn.Dropout(DROPOUTS[index]))
    return nn.Sequential(*layers).eval()


class AestheticReward:
    """A grade from about 1 to 10, not bounded, higher is better. The prompt plays no part.

    Linear in CLIP ViT-L/14's embedding of the picture, normalised to length 1.
    """

    def __init__(self, clip: CLIPReward, predictor: nn.Sequential, name: str = "aesthetic") -> None:
        """RewardError where the CLIP's embedding is not as wide as the head expects."""
        wide, expected = clip.model.config.projection_dim, predictor[0].in_features
        if wide != expected:
            raise RewardError(f"{name}: expected a CLIP with embeddings of {expected} numbers, got {wide}")
        self.name = name
        self.clip = clip
        self.predictor = predictor

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Grades (B,) float32 of images (B, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            return self.predictor(self.clip.embed_images(images))[:, 0]
