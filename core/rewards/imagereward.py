"""ImageReward (Xu et al. 2023, arXiv 2304.05977): what people prefer, learned from rankings of pictures of a prompt.

The network is the package's own; its API scores one picture at a time, this scores batches.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import RewardError
from core.rewards import imagereward_compat
from core.rewards.clip import CACHED_PROMPTS, preprocess
from core.rewards.tensors import load_strictly, read_tensors

MAX_TOKENS = 35  # as the package cuts prompts
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, as in the package
# Numbers 0, 1, 2, ... that older checkpoints carry along and others do not.
CONSTANTS = frozenset({"blip.text_encoder.embeddings.position_ids"})


class ImageRewardReward:
    """A score around 0 with a standard deviation of about 1 over real use; it has no bounds, higher is preferred.

    The text encoder looks at the picture, so no prompt can be embedded ahead; the tokens of the last 256 are kept.
    Prompts are cut at 35 tokens. A picture with values that are not finite scores NaN.
    """

    def __init__(self, model: Any, name: str = "imagereward") -> None:
        """`model` is the package's ImageReward, of any size."""
        self.name = name
        self.model = model.eval()
        self.image_size = model.blip.visual_encoder.patch_embed.img_size[0]
        self.device = next(model.parameters()).device
        self._tokens = lru_cache(maxsize=CACHED_PROMPTS)(self._tokenize)

    def _tokenize(self, prompt: str) -> tuple[Tensor, Tensor]:
        """Ids and mask of a prompt, (35,) each."""
        cut = {"padding": "max_length", "truncation": True, "max_length": MAX_TOKENS}
        found = self.model.blip.tokenizer(prompt, return_tensors="pt", **cut)
        return found.input_ids[0].to(self.device), found.attention_mask[0].to(self.device)

    @torch.no_grad()
    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores (B,) float32 of images (B, 3, H, W) in [0, 1]."""
        pixels = preprocess(images.to(self.device).float(), self.image_size, MEAN, STD, round_crop=True)
        tokens = [self._tokens(prompt) for prompt in prompts]
        ids, masks = (torch.stack(parts) for parts in zip(*tokens, strict=True))
        return self.model.score_gard(ids, masks, pixels)[:, 0].float()


def load(name: str, checkpoint: Path, med_config: Path, vocabulary: Path, *, device: str = "cpu") -> ImageRewardReward:
    """Load ImageReward-v1.0 from local files: ImageReward.pt or .safetensors, med_config.json, BERT's vocab.txt.

    Raises RewardError for files that do not fit.
    """
    words = vocabulary.read_text(encoding="utf-8").split("\n")
    words = words[:-1] if words[-1] == "" else words
    expected = json.loads(med_config.read_text())["vocab_size"] - 2
    if len(words) != expected:
        raise RewardError(f"{name}: expected {expected} tokens in {vocabulary.name}, got {len(words)}")
    tensors = read_tensors(checkpoint, name)
    model = imagereward_compat.build(str(med_config), lambda: imagereward_compat.tokenizer(words), device=device)
    load_strictly(model, tensors, name, constants=CONSTANTS)
    return ImageRewardReward(model.requires_grad_(False), name)
