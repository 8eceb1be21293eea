"""CLIP as a reward: how well a picture's embedding agrees with its prompt's. Serves every transformers `CLIPModel`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import RewardError
from core.rewards.pixels import resize

CACHED_PROMPTS = 256


def preprocess(
    images: Tensor, size: int, mean: Sequence[float], std: Sequence[float], *, round_crop: bool = False
) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] as CLIP sees them: (B, 3, size, size), normalised by channel.

    As CLIP's own processor does with a Pillow image: the shorter side to `size` (bicubic, in bytes), the middle square,
    then (x - mean) / std. Where nothing has to be resized the values stay as they are. `round_crop` takes the middle as
    torchvision's CenterCrop does, which rounds half a pixel to even; otherwise it is cut off.
    """
    height, width = images.shape[-2:]
    short = min(height, width)
    if short != size:
        height, width = size * height // short, size * width // short
        images = resize(images, height, width)
    top, left = ((round(extra / 2) if round_crop else extra // 2) for extra in (height - size, width - size))
    square = images[..., top : top + size, left : left + size]
    shape = (1, 3, 1, 1)
    return (square - square.new_tensor(mean).view(shape)) / square.new_tensor(std).view(shape)


class CLIPReward:
    """Cosine similarity of picture and prompt in a CLIP model's joint space, a number in [-1, 1].

    The plain cosine, without the model's logit scale, so that scores of different CLIP models have one range (trained
    models mostly stay within 0 to .5). `scaled` multiplies by it, as PickScore is told (Kirstain et al. 2023, arXiv
    2305.01569): then in [-100, 100], mostly 15 to 25. Prompts beyond the text encoder's length are cut. Each prompt is
    embedded alone and the last 256 are remembered, so a score does not depend on the batch.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        name: str,
        *,
        scaled: bool = False,
    ) -> None:
        """`mean` and `std` are three numbers each, for pictures in [0, 1]; RewardError for parts that do not fit."""
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.image_size = image_size
        self.scale = float(model.logit_scale.exp()) if scaled else 1.0
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
        """Cosines (B,) float32 of images (B, 3, H, W) in [0, 1] with their prompts, times the scale."""
        return self.scale * (self.embed_images(images) * self.embed_prompts(prompts)).sum(-1)

    def embed_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Unit vectors (B, D) float32."""
        return torch.stack([self._text(prompt) for prompt in prompts])

    @torch.no_grad()
    def embed_images(self, images: Tensor) -> Tensor:
        """Unit vectors (B, D) float32 of images (B, 3, H, W) in [0, 1]."""
        pixels = preprocess(images.to(self.model.device).float(), self.image_size, self.mean, self.std)
        features = self.model.get_image_features(pixel_values=pixels.to(self.model.dtype)).pooler_output
        return F.normalize(features.float(), dim=-1)
