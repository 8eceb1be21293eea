"""GenEval's verdict as a reward: a detector finds the objects, CLIP names the colour of each object's region."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from core.geneval.check import Found, distinct, judge
from core.geneval.prompts import COLORS, Scene, parse
from core.rewards.clip import CLIPReward
from core.rewards.pixels import finite

# GenEval's own thresholds (.3, and .9 for counting) are Mask2Former's. OWLv2's confidences are lower, and it finds
# things twice: these are what its authors' examples use, not calibrated against people's verdicts.
THRESHOLD = 0.2
SAME_THING = 0.5  # boxes of one class that overlap more (IoU) are one object
TEMPLATES = ("a photo of a {color} {name}", "a photo of a {color}-colored {name}", "a photo of a {color} object")

Detector = Callable[[Tensor, Sequence[Sequence[str]], float], list[tuple[Found, ...]]]
Colors = Callable[[Tensor, Found], str | None]


class GenEvalReward:
    """1 where the picture shows what the prompt asks for, else 0; without `strict` partial credit from 0 to 1.

    Prompts that are not of GenEval's kind (`core.geneval.prompts.parse`) have no truth to check: NaN, as for pictures
    with values that are not finite.
    """

    def __init__(
        self, detector: Detector, colors: Colors, name: str, *, strict: bool = False, threshold: float = THRESHOLD
    ) -> None:
        """`detector(images, names, threshold)` finds named things; `colors(picture, found)` names a region's colour."""
        self.name = name
        self.detector = detector
        self.colors = colors
        self.strict = strict
        self.threshold = threshold

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores (B,) float32 of images (B, 3, H, W) in [0, 1]."""
        scores = torch.full((len(images),), math.nan)
        scenes = [parse(prompt) if sound else None for prompt, sound in zip(prompts, finite(images), strict=True)]
        judged = [index for index, scene in enumerate(scenes) if scene]
        asked = [tuple(dict.fromkeys(one.name for one in scene.wanted)) for scene in scenes if scene]
        found = self.detector(images[judged], asked, self.threshold) if judged else []
        for index, things in zip(judged, found, strict=True):
            scores[index] = self._judge(scenes[index], things, images[index])
        return scores

    def _judge(self, scene: Scene | None, things: Sequence[Found], picture: Tensor) -> float:
        if scene is None:
            return math.nan
        verdict = judge(scene, distinct(things, SAME_THING), lambda found: self.colors(picture, found))
        return float(verdict.strict) if self.strict else verdict.partial


def _middle(region: Tensor) -> Tensor:
    """A long, thin region (1, 3, h, w) cut to four times its width: CLIP looks at the middle square only."""
    longest = 4 * min(region.shape[-2:])
    for axis in (-2, -1):
        length = min(region.shape[axis], longest)
        region = region.narrow(axis, (region.shape[axis] - length) // 2, length)
    return region


class ClipColors:
    """Names a region's colour among GenEval's ten: the one whose sentences CLIP finds closest to the cut-out.

    As GenEval does without masks: the mean of three sentences' embeddings a colour.
    """

    def __init__(self, clip: CLIPReward) -> None:
        """Any CLIP; GenEval's is ViT-L/14."""
        self.clip = clip
        self._sentences = lru_cache(maxsize=128)(self._embed)

    def __call__(self, picture: Tensor, found: Found) -> str | None:
        """One of COLORS for a region of a picture (3, H, W); None where the region is empty."""
        left, top, right, bottom = (int(edge) for edge in found.box)
        region = _middle(picture[None, :, top : max(bottom, top + 1), left : max(right, left + 1)])
        if not region.numel():
            return None
        closeness = self._sentences(found.name) @ self.clip.embed_images(region)[0]
        return COLORS[int(closeness.argmax())]

    def _embed(self, name: str) -> Tensor:
        """Unit vectors (10, D) of a class in each colour."""
        sentences = [template.format(color=color, name=name) for color in COLORS for template in TEMPLATES]
        embedded = self.clip.embed_prompts(sentences).view(len(COLORS), len(TEMPLATES), -1)
        return F.normalize(embedded.mean(1), dim=-1)
