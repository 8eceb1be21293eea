"""Rewards of the real classes at reduced size with random weights, and folders of them as they are published."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor

from core.geneval.prompts import generate
from core.rewards import aesthetic, imagereward_compat
from core.rewards.aesthetic import AestheticReward
from core.rewards.clip import CLIPReward
from core.rewards.geneval import ClipColors, GenEvalReward
from core.rewards.imagereward import ImageRewardReward
from core.rewards.owlv2 import Owlv2Detector
from tests import tiny

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{one}" for one in LETTERS)]
MED_CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": len(VOCABULARY) + 2,
    "encoder_width": 32,
    "add_cross_attention": True,
}


@contextmanager
def reduced_imagereward() -> Iterator[None]:
    """Until the block ends, the package builds itself for 32x32 pictures, 32 wide, instead of ViT-Large."""
    main, pretrain = imagereward_compat.modules()
    vision = sys.modules["ImageReward.models.BLIP.vit"].VisionTransformer
    transform, head = main._transform, main.MLP

    def create_vit(*_: Any) -> tuple[Any, int]:
        return vision(img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2), 32

    small = patch.multiple(main, _transform=lambda _: transform(32), MLP=lambda _: head(32))
    with small, patch.object(pretrain, "create_vit", create_vit):
        yield


def imagereward_package(folder: Path, seed: int = 0) -> Any:
    """The package's own model at reduced size."""
    med_config = folder / "med_config.json"
    med_config.write_text(json.dumps(MED_CONFIG))
    with torch.random.fork_rng(), reduced_imagereward():
        torch.manual_seed(seed)
        model = imagereward_compat.build(str(med_config), lambda: imagereward_compat.tokenizer(VOCABULARY))
    with torch.no_grad():  # the package's own start leaves every score the same to the third decimal
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(
                    parameter,
                    std=0.7 / parameter[0].numel() ** 0.5,
                    generator=torch.Generator().manual_seed(seed + len(name)),
                )
    return model


def imagereward_reward(folder: Path) -> ImageRewardReward:
    return ImageRewardReward(imagereward_package(folder))


def imagereward_folder(folder: Path) -> Path:
    """ImageReward.pt, med_config.json and vocab.txt of the reduced model."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(imagereward_package(folder).state_dict(), folder / "ImageReward.pt")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY))
    return folder


def clip_folder(folder: Path) -> Path:
    """A CLIP as transformers writes it."""
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_tokenizer().save_pretrained(folder)
    CLIPImageProcessor(image_mean=tiny.MEAN, image_std=tiny.STD).save_pretrained(folder)
    return folder


def pickscore_reward() -> CLIPReward:
    """A CLIP whose cosines are multiplied by its own scale, 1 / .07 in a fresh one."""
    return CLIPReward(tiny.clip_model(1), tiny.clip_tokenizer(), 32, tiny.MEAN, tiny.STD, "pickscore", scaled=True)


def small_head() -> torch.nn.Sequential:
    """The aesthetic predictor's layers, for embeddings of 16 numbers."""
    with patch.object(aesthetic, "WIDTHS", (16, *aesthetic.WIDTHS[1:])), torch.random.fork_rng():
        torch.manual_seed(0)
        return aesthetic.head().requires_grad_(False)


def aesthetic_reward() -> AestheticReward:
    return AestheticReward(tiny.clip_reward(), small_head())


def aesthetic_folder(folder: Path) -> Path:
    """Parts in folders of their own: a CLIP, and the head under the names that it is published with."""
    clip_folder(folder / "clip")
    (folder / "head").mkdir()
    tensors = {f"layers.{key}": value for key, value in small_head().state_dict().items()}
    save_file(tensors, folder / "head" / "aesthetic-model.safetensors")
    return folder


@cache
def words() -> Any:
    """A byte-pair tokenizer learned from GenEval's sentences, with OWLv2's padding."""
    sentences = [scene.text() for scene in generate(200)]
    tokenizer = type(tiny.clip_tokenizer())(model_max_length=16).train_new_from_iterator(sentences, vocab_size=700)
    tokenizer.pad_token = "!"
    return tokenizer


def owlv2_model() -> Owlv2ForObjectDetection:
    """OWLv2 for 48x48 pictures in patches of 8: 36 places."""
    tokenizer = words()
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = small | {"vocab_size": len(tokenizer), "max_position_embeddings": 16}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = Owlv2Config(text_config=text, vision_config=small | {"image_size": 48, "patch_size": 8}, projection_dim=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Owlv2ForObjectDetection(config)
        tiny._shake(model)
    return model


def owlv2_processor() -> Owlv2ImageProcessor:
    return Owlv2ImageProcessor(size={"height": 48, "width": 48})


def owlv2_detector() -> Owlv2Detector:
    return Owlv2Detector(owlv2_model(), words(), owlv2_processor())


def geneval_reward(*, strict: bool = False) -> GenEvalReward:
    name = "geneval-strict" if strict else "geneval"
    return GenEvalReward(owlv2_detector(), ClipColors(tiny.clip_reward()), name, strict=strict, threshold=0.0)


def geneval_folder(folder: Path) -> Path:
    """Parts in folders of their own: the detector and a CLIP."""
    clip_folder(folder / "clip")
    detector = folder / "detector"
    owlv2_model().save_pretrained(detector)
    words().save_pretrained(detector)
    owlv2_processor().save_pretrained(detector)
    return folder
