"""Rewards made from their files. Imports torch and transformers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import RewardError
from core.rewards.aesthetic import AestheticReward, head
from core.rewards.clip import CLIPReward
from core.rewards.geneval import ClipColors, GenEvalReward
from core.rewards.jpeg import JpegCompressibilityReward
from core.rewards.owlv2 import load_owlv2
from core.rewards.parts import AESTHETIC_HEAD, IMAGEREWARD, pick
from core.rewards.protocol import Reward
from core.rewards.registry import RewardSpec
from core.rewards.tensors import load_strictly, read_tensors
from core.rewards.verifier import VerifierReward


def load(spec: RewardSpec, parts: Mapping[str, Path], device: str) -> Reward:
    """A reward from the folders of its parts, by their keys. Raises RewardError."""
    name = spec.name
    if spec.kind == "jpeg":
        return JpegCompressibilityReward(name)
    if spec.kind == "verifier":
        return VerifierReward(name, strict=spec.strict)
    if spec.kind == "imagereward":
        return _imagereward(name, parts, device)
    if spec.kind == "pickscore":
        return load_clip(name, parts["weights"], processor=parts["processor"], device=device, scaled=True)
    clip = load_clip(name, parts["clip"], device=device)
    if spec.kind == "aesthetic":
        return _aesthetic(name, clip, parts["head"], device)
    if spec.kind == "geneval":
        detector = load_owlv2(name, parts["detector"], device=device)
        return GenEvalReward(detector, ClipColors(clip), name, strict=spec.strict)
    return clip


def load_clip(
    name: str, weights: Path, *, processor: Path | None = None, device: str = "cpu", scaled: bool = False
) -> CLIPReward:
    """Load a CLIP folder as transformers writes it; tokenizer and picture preprocessing may lie in another one."""
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # whoever loads draws its own
    beside = processor or weights
    try:
        settings = json.loads((beside / "preprocessor_config.json").read_text())
        mean, std = settings["image_mean"], settings["image_std"]
        model = CLIPModel.from_pretrained(weights, dtype="float32", use_safetensors=True, local_files_only=True)
        tokenizer = CLIPTokenizer.from_pretrained(beside, local_files_only=True)
        model = model.to(device).requires_grad_(False)
        return CLIPReward(model, tokenizer, model.config.vision_config.image_size, mean, std, name, scaled=scaled)
    except RewardError:
        raise
    except Exception as error:  # transformers, safetensors and torch each have errors of their own
        raise RewardError(f"{name}: cannot be loaded from {weights}: {error!r}") from error


def _aesthetic(name: str, clip: CLIPReward, folder: Path, device: str) -> AestheticReward:
    predictor, tensors = head(), read_tensors(pick(folder, *AESTHETIC_HEAD), name)
    # Published files call the sequence "layers".
    load_strictly(predictor, {key.removeprefix("layers."): value for key, value in tensors.items()}, name)
    return AestheticReward(clip, predictor.to(device).requires_grad_(False), name)


def _imagereward(name: str, parts: Mapping[str, Path], device: str) -> Any:
    try:
        from core.rewards import imagereward

        checkpoint, med_config = (pick(parts["weights"], names) for names in IMAGEREWARD)
        return imagereward.load(name, checkpoint, med_config, parts["tokenizer"] / "vocab.txt", device=device)
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise RewardError(f"{name}: cannot be loaded from {parts['weights']}: {error!r:.300}") from error
