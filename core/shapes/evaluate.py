"""Measure the embedded world: `python -m core.shapes.evaluate [--json]`.

500 captions in equal shares of the six tasks, two pictures each (20 steps, guidance 4.5), checked by the verifier; then
the VAE's PSNR and whether the CLIP knows a picture's caption. Position and colour-attribution captions name only
combinations that training never showed; the other tasks have few captions, all of them seen.
"""

import argparse
import json
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import noise
from core.models.registry import load_model
from core.rewards.clip import CLIPReward
from core.rewards.protocol import Reward, score
from core.rewards.registry import load_reward
from core.shapes.clip import swap
from core.shapes.scenes import (
    TASKS,
    Caption,
    draw,
    evaluation_captions,
    sample_caption,
    sample_pairs,
    sample_scene,
    sample_task,
)
from core.shapes.vae import decode, draw_scenes, encode
from core.shapes.verifier import caption_holds, verify

STEPS, GUIDANCE, SEEDS = 20, 4.5, (0, 1)
GENEVAL_NAMES = {"two_objects": "two_object", "color_attribution": "color_attr"}


def generate(pipeline: Any, prompts: list[str], seed: int, batch_size: int = 50) -> np.ndarray:
    """Pictures (B, 64, 64, 3) uint8 by plain diffusers; prompt i starts from the noise named (seed, i)."""
    parts = []
    for first in range(0, len(prompts), batch_size):
        batch = prompts[first : first + batch_size]
        latents = torch.cat([noise.normal((16, 8, 8), seed, "evaluate", first + i) for i in range(len(batch))])
        parts.append(
            pipeline(
                prompt=batch,
                latents=latents,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                max_sequence_length=0,
                output_type="np",
            ).images
        )
    return (np.concatenate(parts) * 255).round().astype(np.uint8)


def measure_model(pipeline: Any, captions: list[Caption]) -> dict[str, Any]:
    """Scores "strict" and "partial", overall and by task (GenEval's names), over all captions and SEEDS."""
    prompts = [caption.text() for caption in captions]
    verdicts = [
        [verify(image, caption) for image, caption in zip(generate(pipeline, prompts, seed), captions, strict=True)]
        for seed in SEEDS
    ]
    results = np.array(verdicts, dtype=float)  # (seeds, captions, strict and partial)
    scores: dict[str, Any] = {}
    for index, kind in enumerate(("strict", "partial")):
        values = results[..., index]
        scores[kind] = {"overall": round(float(values.mean()), 4)}
        for task in TASKS:
            chosen = [i for i, caption in enumerate(captions) if caption.task == task]
            scores[kind][GENEVAL_NAMES.get(task, task)] = round(float(values[:, chosen].mean()), 4)
    return scores


def measure_vae(vae: Any, count: int = 500) -> dict[str, float]:
    """Mean PSNR in dB over scenes that training did not see, and the strict score after a round trip."""
    pairs = sample_pairs(10_001, count)
    images = draw_scenes(10_001, count)
    decoded = decode(vae, encode(vae, images))
    squared = ((decoded.astype(np.float64) - images) ** 2).mean((1, 2, 3))
    strict = [verify(image, caption)[0] for image, (caption, _) in zip(decoded, pairs, strict=True)]
    return {
        "psnr": round(float((10 * np.log10(255**2 / squared)).mean()), 2),
        "strict_after_round_trip": round(float(np.mean(strict)), 4),
    }


def clip_scores(reward: Reward, images: np.ndarray, prompts: list[str]) -> np.ndarray:
    """Scores (B,) of pictures (B, H, W, 3) uint8."""
    return np.array(score(reward, pictures(images), prompts))


def pictures(images: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) as float (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def top_of_64(reward: CLIPReward, groups: int = 10) -> float:
    """How often the best of 64 different captions is true of the picture; combinations from the held-out tenth."""
    hits: list[bool] = []
    for group in range(groups):
        pairs = list({c.text(): (c, s) for c, s in sample_pairs(20_000 + group, 400, held_out=True)}.values())[:64]
        images = np.stack([draw(scene) for _, scene in pairs])
        with torch.no_grad():
            cosines = reward.embed_images(pictures(images)) @ reward.embed_prompts([c.text() for c, _ in pairs]).T
        hits += [
            caption_holds(pairs[int(row.argmax())][0], scene) for row, (_, scene) in zip(cosines, pairs, strict=True)
        ]
    return float(np.mean(hits))


def within_prompt_auc(reward: Reward, prompts: int = 100, each: int = 8) -> float:
    """Mean over prompts of P(a right picture scores above a near miss): one attribute of the caption changed."""
    rng = np.random.default_rng(30_000)
    areas: list[float] = []
    while len(areas) < prompts:
        caption = sample_caption(rng, sample_task(rng), held_out=True)
        wrong = [sample_scene(rng, swap(rng, caption)) for _ in range(each)]
        wrong = [scene for scene in wrong if not caption_holds(caption, scene)]
        if not wrong:
            continue
        right = [sample_scene(rng, caption) for _ in range(each)]
        images = np.stack([draw(scene) for scene in right + wrong])
        values = clip_scores(reward, images, [caption.text()] * len(images))
        good, bad = values[: len(right), None], values[None, len(right) :]
        areas.append(float(((good > bad) + 0.5 * (good == bad)).mean()))
    return float(np.mean(areas))


def main() -> None:
    """Print every figure of the model card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model, reward = load_model("shapes-sd3"), load_reward("shapes-clip")
    if not isinstance(reward, CLIPReward):
        raise TypeError(f"expected shapes-clip to be a CLIPReward, got {type(reward).__name__}")
    pipeline = model.pipeline  # type: ignore[attr-defined]  # the embedded model is a diffusers pipeline
    vae = measure_vae(pipeline.vae)
    figures: dict[str, Any] = {
        **measure_model(pipeline, evaluation_captions(arguments.captions)),
        "vae_psnr": vae["psnr"],
        "vae_strict_after_round_trip": vae["strict_after_round_trip"],
        "clip_top1": round(top_of_64(reward), 4),
        "clip_auc": round(within_prompt_auc(reward), 4),
        "captions": arguments.captions,
        "seeds": len(SEEDS),
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
