"""OWLv2 (Minderer et al. 2023, arXiv 2306.09683) as a detector of named things, through transformers."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import RewardError
from core.geneval.check import Found

QUERY = "a photo of a {}"
CACHED_QUERIES = 256


class Owlv2Detector:
    """Finds things by their names in pictures; names are embedded once and the last 256 are remembered."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any) -> None:
        """An `Owlv2ForObjectDetection` with its tokenizer and its image processor for tensors."""
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.processor = processor
        self.max_length = min(tokenizer.model_max_length, model.config.text_config.max_position_embeddings)
        self._query = lru_cache(maxsize=CACHED_QUERIES)(self._embed)

    @torch.no_grad()
    def __call__(self, images: Tensor, names: Sequence[Sequence[str]], threshold: float) -> list[tuple[Found, ...]]:
        """Everything above `threshold` in pictures (B, 3, H, W) in [0, 1], each looked through for its own names.

        A place in the picture goes to the name that fits it best. Boxes are in the picture's pixels.
        """
        height, width = images.shape[-2:]
        features, regions = self._regions(images)
        boxes = self._boxes(features, regions, height, width)
        there = (boxes[..., 2:] > boxes[..., :2]).all(-1)  # some lie wholly outside of the picture
        found = []
        for index, asked in enumerate(names):
            queries = torch.stack([self._query(name) for name in asked])
            logits, _ = self.model.class_predictor(features[index : index + 1], queries[None].to(features.dtype))
            scores, best = logits[0].float().sigmoid().max(-1)
            found.append(
                tuple(
                    Found(asked[best[place]], float(scores[place]), tuple(boxes[index, place].tolist()))
                    for place in (there[index] & (scores > threshold)).nonzero()[:, 0].tolist()
                )
            )
        return found

    def _regions(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of every place, flat (B, N, D) and on their grid (B, h, w, D)."""
        levels = list((images.clamp(0, 1) * 255).round().byte())  # as a saved picture holds them
        pixels = self.processor(images=levels, return_tensors="pt", device=self.model.device).pixel_values
        regions, _ = self.model.image_embedder(pixels.to(self.model.dtype))
        return regions.flatten(1, 2), regions

    def _boxes(self, features: Tensor, regions: Tensor, height: int, width: int) -> Tensor:
        """Boxes (B, N, 4) in pixels, cut at the picture's edges: it was padded to a square below and to the right."""
        x, y, wide, high = self.model.box_predictor(features, regions).float().unbind(-1)
        corners = torch.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], -1) * max(height, width)
        limits = corners.new_tensor([width, height, width, height])
        return torch.minimum(corners.clamp(min=0), limits)

    def _embed(self, name: str) -> Tensor:
        """Unit vector (D,) of a name's query."""
        cut = {"padding": "max_length", "truncation": True, "max_length": self.max_length}
        asked = self.tokenizer(QUERY.format(name), return_tensors="pt", **cut).to(self.model.device)
        features = self.model.owlv2.get_text_features(asked.input_ids, attention_mask=asked.attention_mask)
        return torch.nn.functional.normalize(features.pooler_output[0], dim=-1)


def load_owlv2(name: str, folder: Path, *, device: str = "cpu") -> Owlv2Detector:
    """Load a folder as transformers writes it. Raises RewardError, for the reward `name`."""
    from transformers import AutoTokenizer, Owlv2ForObjectDetection, Owlv2ImageProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()  # whoever loads draws its own
    try:
        model = Owlv2ForObjectDetection.from_pretrained(
            folder, dtype="float32", use_safetensors=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        processor = Owlv2ImageProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers, safetensors and torch each have errors of their own
        raise RewardError(f"{name}: the detector cannot be loaded from {folder}: {error!r:.300}") from error
    return Owlv2Detector(model.to(device).requires_grad_(False), tokenizer, processor)
