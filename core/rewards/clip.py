"""CLIP as a reward: how well a picture's embedding agrees with its prompt's. Serves every transformers `CLIPModel`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import RewardError

CACHED_PROMPTS = 256


def preprocess(images: Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] as CLIP sees them: (B, 3, size, size), normalised by channel.

    As CLIP's own processor does: the shorter side to `size` (bicubic, antialiased), the middle square, then
    (x - mean) / std. Works on tensors throughout; bicubic overshoot is clamped, where bytes would have been cut.
    """
    height, width = images.shape[-2:]
    if min(height, width) != size:
        scale = size / min(height, width)
        target = (max(size, int(height * scale)), max(size, int(width * scale)))
        images = F.interpolate(images, target, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
        height, width = target
    top, left = (height - size) // 2, (width - size) // 2
    square = images[..., top : top + size, left : left + size]
    shape = (1, 3, 1, 1)
    return (square - square.new_tensor(mean).view(shape)) / square.new_tensor(std).view(shape)


class CLIPReward:
    """Cosine similarity of picture and prompt in a CLIP model's joint space, a number in [-1, 1].

    The plain cosine, without the model's logit scale, so that scores of different CLIP models have one range (trained
    models mostly stay within 0 to .5). Prompts beyond the text encoder's length are cut. Each prompt is embedded alone
    and the last 256 are remembered, so a score does not depend on the batch.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        name: str,
    ) -> None:
        """`mean` and `std` are three numbers each, for pictures in [0, 1]; RewardError for parts that do not fit."""
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.image_size = image_size
        self.mean, self.std = tuple(mean), tuple(std)
        text = model.config.text_config
        self.max_length = min(tokenizer.model_max_length, text.max_position_embeddings)
        # The text encoder's summary is read at the end mark; looked for under another id it is silently garbage.
        # (2 is what old checkpoints say, for which transformers takes the highest id.)
        if text.eos_token_id not in (2, tokenizer.eos_token_id):
            ids = f"the tokenizer's is {tokenizer.eos_token_id} and the model's {text.eos_token_id}"
            raise RewardError(f"{name}: expected one end mark, {ids}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(value > 0 for value in self.std):
            given = f"{self.mean} and {self.std}"
            raise RewardError(f"{name}: expected three means and three positive deviations, got {given}")
        self._text = lru_cache(maxsize=CACHED_PROMPTS)(self._embed_prompt)

    @torch.no_grad()
    def _embed_prompt(self, prompt: str) -> Tensor:
        """Unit vector (D,) float32 of a prompt."""
        ids = self.tokenizer(prompt, truncation=True, max_length=self.max_length, return_tensors="pt").input_ids
        features = self.model.get_text_features(input_ids=ids.to(self.model.device)).pooler_output
        return F.normalize(features[0].float(), dim=-1)

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Cosines (B,) float32 of images (B, 3, H, W) in [0, 1] with their prompts."""
        return (self.embed_images(images) * self.embed_prompts(prompts)).sum(-1)

    def embed_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Unit vectors (B, D) float32."""
        return torch.stack([self._text(prompt) for prompt in prompts])

    def embed_images(self, images: Tensor) -> Tensor:
        """Unit vectors (B, D) float32 of images (B, 3, H, W) in [0, 1]."""
        pixels = preprocess(images.to(self.model.device).float(), self.image_size, self.mean, self.std)
        features = self.model.get_image_features(pixel_values=pixels.to(self.model.dtype)).pooler_output
        return F.normalize(features.float(), dim=-1)
