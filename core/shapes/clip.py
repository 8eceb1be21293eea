"""The embedded world's CLIP: the learned reward, trained to tell a caption from its attribute-swapped sibling."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from core.shapes.scenes import (
    COLORS,
    IMAGE_SIZE,
    OPPOSITE,
    SHAPES,
    Caption,
    Phrase,
    draw,
    is_held_out,
    sample_caption,
    sample_scene,
    sample_task,
)
from core.shapes.tokenizer import MAX_LENGTH
from core.shapes.training import TrainConfig, train
from core.shapes.vae import to_tensor
from core.shapes.verifier import caption_holds

CONFIG = TrainConfig(
    steps=3000, batch_size=64, learning_rate=1e-3, weight_decay=0.05, warmup=200, ema_decay=0.998, cooldown=0.6, seed=2
)
WIDTH = 128


def build_clip(tokenizer: CLIPTokenizer, seed: int = CONFIG.seed) -> CLIPModel:
    """A randomly initialised CLIPModel: 8x8 patches, width 128, four image and three text layers."""
    torch.manual_seed(seed)
    tower = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_attention_heads": 2, "projection_dim": WIDTH}
    text = tower | {
        "num_hidden_layers": 3,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": MAX_LENGTH,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = tower | {"num_hidden_layers": 4, "image_size": IMAGE_SIZE, "patch_size": 8}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def swap(rng: np.random.Generator, caption: Caption) -> Caption:
    """A near miss: one attribute of a caption changed (or the two colours, or the relation, exchanged)."""
    if len(caption.phrases) == 2:
        first, second = caption.phrases
        choices = ["shape", "color"] + (["relation"] * 3 if caption.relation else [])
        choices += ["colors"] * 2 if first.color != second.color else []
        kind = str(rng.choice(choices))
        if kind == "relation":
            return Caption(caption.task, caption.phrases, OPPOSITE[caption.relation or ""])
        if kind == "colors":
            pair = (Phrase(first.shape, second.color), Phrase(second.shape, first.color))
            return Caption(caption.task, pair, caption.relation)
        side = int(rng.integers(2))
        changed = tuple(_change(rng, p, kind) if i == side else p for i, p in enumerate(caption.phrases))
        return Caption(caption.task, changed, caption.relation)
    (phrase,) = caption.phrases
    return Caption(caption.task, (_change(rng, phrase, str(rng.choice(["shape", "color", "count", "count"]))),))


def _change(rng: np.random.Generator, phrase: Phrase, kind: str) -> Phrase:
    if kind == "count" and phrase.count > 1:
        near = [n for n in (phrase.count - 1, phrase.count + 1) if 2 <= n <= 4]
        return Phrase(phrase.shape, phrase.color, int(rng.choice(near)))
    if kind == "color" and phrase.color:
        return Phrase(phrase.shape, str(rng.choice([c for c in COLORS if c != phrase.color])), phrase.count)
    return Phrase(str(rng.choice([s for s in SHAPES if s != phrase.shape])), phrase.color, phrase.count)


def _is_trainable(caption: Caption) -> bool:
    if len(caption.phrases) != 2 or not all(p.color for p in caption.phrases):
        return True
    return not is_held_out(caption.phrases[0], caption.relation, caption.phrases[1])


def sample_siblings(rng: np.random.Generator, count: int) -> list[tuple[Caption, Caption]]:
    """Captions with their near misses, none of a held-out combination."""
    found: list[tuple[Caption, Caption]] = []
    while len(found) < count:
        caption = sample_caption(rng, sample_task(rng))
        sibling = swap(rng, caption)
        if _is_trainable(sibling) and sibling != caption:
            found.append((caption, sibling))
    return found


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, also_true: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy of (B, D) unit vectors; pairs in `also_true` (B, B) are no negatives."""
    logits = (scale * image @ text.T).float().masked_fill(also_true, -1e4)
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def embed(model: nn.Module, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (B, D) of pictures (B, 3, H, W) in [-1, 1] and of tokens (B, L)."""
    out = model(input_ids=tokens, pixel_values=pixels)
    return F.normalize(out.image_embeds, dim=-1), F.normalize(out.text_embeds, dim=-1)


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids (B, MAX_LENGTH), padded and cut."""
    return tokenizer(texts, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt").input_ids


def corrupt(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Blur and noise a random half of the pictures, as one-step estimates are: scores should stay meaningful there."""
    size = pixels.shape[-1]
    small = F.interpolate(pixels, scale_factor=0.25, mode="bilinear", antialias=True, align_corners=False)
    blurred = F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)
    share = torch.rand(len(pixels), 1, 1, 1, generator=generator)
    noise = torch.randn(pixels.shape, generator=generator) * 0.15
    mixed = pixels.lerp(blurred, share) + noise * share
    return torch.where(torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5, mixed, pixels).clamp(-1, 1)


def train_clip(work: Path, tokenizer: CLIPTokenizer) -> CLIPModel:
    """Train (or resume) the CLIP on freshly drawn pairs; half of every batch are the near misses of the other half."""

    def loss_of(model: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng((CONFIG.seed, step))
        captions = [c for pair in sample_siblings(rng, CONFIG.batch_size // 2) for c in pair]
        scenes = [sample_scene(rng, caption) for caption in captions]
        holds = torch.tensor([[caption_holds(c, scene) for c in captions] for scene in scenes])
        pixels = corrupt(to_tensor(np.stack([draw(scene) for scene in scenes])), generator)
        image, text = embed(model, pixels, tokenize(tokenizer, [c.text() for c in captions]))
        also_true = holds & ~torch.eye(len(captions), dtype=torch.bool)
        loss = contrastive_loss(image, text, model.logit_scale.exp().clamp(max=100), also_true)
        best = (image @ text.T).float().argmax(1)
        return loss, {"loss": float(loss.detach()), "top1": float(holds[torch.arange(len(best)), best].float().mean())}

    return train(build_clip(tokenizer), loss_of, CONFIG, work / "clip")
