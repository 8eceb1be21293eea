"""Has it learned? `python -m core.grpo.judge FOLDER [--json]`: an adapter against the model without it, paired.

The captions of `core.shapes.evaluate` (500, two pictures each, 20 steps unless others are asked for), drawn with and
without the adapter from the same starting noise and checked by the exact verifier. No fine-tune on `shapes-train` ever
saw one of these captions. `--fresh SEED` judges on a draw that no choice of settings has looked at.
Intervals are bootstrapped over different captions, so that one asked for often does not count as many.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import LabError, ModelError
from core.grpo.checkpoint import LORA_FILE, STATE_FILE
from core.grpo.sampling import fixed_noise, pictures
from core.models.adapters import load_adapter
from core.models.protocol import FlowModel
from core.models.registry import MODELS, load_model
from core.prompts import SHAPES_TRAIN, prompt_set
from core.shapes.evaluate import SEEDS, STEPS
from core.shapes.scenes import TASKS, Caption, evaluation_captions
from core.shapes.verifier import verify

BATCH = 48
MEASURES = ("strict", "partial")


def captions_of(count: int, fresh: int | None = None) -> list[Caption]:
    """The evaluation's captions; with `fresh` as many of another draw, in the same shares, none of them trained on.

    Four of the six tasks have so few captions that most come again; there, what is new is the starting noise.
    """
    if fresh is None:
        return evaluation_captions(count)
    trained = set(prompt_set(SHAPES_TRAIN))
    drawn = [one for one in evaluation_captions(8 * count, fresh) if one.text() not in trained]
    by_task = [iter([one for one in drawn if one.task == task]) for task in TASKS]
    return [next(by_task[i % len(TASKS)]) for i in range(count)]


def verdicts(
    model: FlowModel,
    captions: Sequence[Caption],
    guidance_scale: float,
    steps: int = STEPS,
    fresh: int | None = None,
) -> np.ndarray:
    """Strict and partial verdicts (captions, seeds, 2) of its pictures by the ODE; `fresh` names other noises."""
    noises = "evaluate" if fresh is None else f"evaluate afresh {fresh}"
    told = {text: model.encode(text, guidance_scale) for text in dict.fromkeys(one.text() for one in captions)}
    conditionings = [told[caption.text()] for caption in captions]
    found = []
    for seed in SEEDS:
        starts = fixed_noise(tuple(model.latent_shape), noises, range(len(captions)), seed)
        pixels = pictures(model, conditionings, starts, model.sigmas(steps), BATCH)
        images = (pixels * 255).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        found.append([verify(image, caption) for image, caption in zip(images, captions, strict=True)])
    return np.array(found, dtype=float).transpose(1, 0, 2)


def interval(gains: np.ndarray, captions: Sequence[Caption], num_bootstrap: int = 10_000) -> tuple[float, float, float]:
    """Mean of gains (captions, seeds) and its 95% interval, different captions drawn with replacement."""
    texts = list(dict.fromkeys(caption.text() for caption in captions))
    place = {text: index for index, text in enumerate(texts)}
    sums, counts = np.zeros(len(texts)), np.zeros(len(texts))
    for caption, row in zip(captions, gains, strict=True):
        sums[place[caption.text()]] += row.sum()
        counts[place[caption.text()]] += len(row)
    draws = np.random.default_rng(0).integers(len(texts), size=(num_bootstrap, len(texts)))
    low, high = np.quantile(sums[draws].sum(1) / counts[draws].sum(1), [0.025, 0.975])
    return float(gains.mean()), float(low), float(high)


def compared(base: np.ndarray, trained: np.ndarray, captions: Sequence[Caption]) -> dict[str, Any]:
    """By measure and task: scores without and with the adapter, and the paired gain with its interval."""
    found: dict[str, Any] = {}
    for index, measure in enumerate(MEASURES):
        rows: dict[str, Any] = {}
        for task in ("overall", *TASKS):
            chosen = [i for i, caption in enumerate(captions) if task in ("overall", caption.task)]
            if chosen:
                before, after = base[chosen][..., index], trained[chosen][..., index]
                gain = interval(after - before, [captions[i] for i in chosen])
                rows[task] = {
                    "base": round(float(before.mean()), 4),
                    "trained": round(float(after.mean()), 4),
                    "gain": [round(value, 4) for value in gain],
                }
        found[measure] = rows
    return found


def adapter_folder(folder: Path, *, raw: bool) -> Path:
    """Where the LoRA file is: the averaged weights', or with `raw` (or without an average) the trained ones'."""
    averaged = folder / "ema"
    chosen = averaged if (averaged / LORA_FILE).is_file() and not raw else folder
    if not (chosen / LORA_FILE).is_file():
        raise ModelError(f"expected {LORA_FILE} in {folder}, found none")
    return chosen


def judge(
    folder: Path,
    *,
    raw: bool = False,
    guidance_scale: float | None = None,
    base_guidance: float | None = None,
    count: int = 500,
    steps: int | None = None,
    fresh: int | None = None,
) -> dict[str, Any]:
    """Everything that the command prints. Guidance is the fine-tune's own unless given, else the model's usual one."""
    settings = _settings(folder)
    name = settings.get("model", "shapes-sd3")
    if guidance_scale is None:
        guidance_scale = float(settings.get("guidance_scale", MODELS[name].guidance_scale))
    base_guidance = guidance_scale if base_guidance is None else base_guidance
    steps = STEPS if steps is None else steps
    adapter = adapter_folder(folder, raw=raw)
    captions, model = captions_of(count, fresh), load_model(name)
    before = verdicts(model, captions, base_guidance, steps, fresh)
    load_adapter(model, adapter)
    after = verdicts(model, captions, guidance_scale, steps, fresh)
    return {
        "adapter": str(adapter),
        "model": name,
        "guidance_scale": guidance_scale,
        "base_guidance_scale": base_guidance,
        "captions": count,
        "seeds": len(SEEDS),
        "steps": steps,
        "fresh": fresh,
        **compared(before, after, captions),
    }


def _settings(folder: Path) -> dict[str, Any]:
    """The fine-tune's config, where the folder is one of its checkpoints."""
    path = folder / STATE_FILE
    return json.loads(path.read_text())["state"]["config"] if path.is_file() else {}


def as_text(found: dict[str, Any]) -> str:
    """A line a measure and task."""
    lines = [f"{found['adapter']}: guidance {found['guidance_scale']:g}, base at {found['base_guidance_scale']:g}"]
    for measure in MEASURES:
        for task, row in found[measure].items():
            gain, low, high = row["gain"]
            told = f"{row['base']:.3f} -> {row['trained']:.3f}   {gain:+.3f} [{low:+.3f}, {high:+.3f}]"
            lines.append(f"{measure:8} {task:18} {told}")
    return "\n".join(lines)


def main() -> None:
    """Judge one folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a checkpoint, or any folder with a LoRA file of diffusers")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--raw", action="store_true", help="the trained weights, not their average")
    parser.add_argument("--guidance-scale", type=float, help="of both (default: the fine-tune's)")
    parser.add_argument("--base-guidance", type=float, help="of the model without the adapter, where it should differ")
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--steps", type=int, help=f"of the sampler (default: {STEPS})")
    parser.add_argument("--fresh", type=int, metavar="SEED", help="other captions and other noise, drawn by this seed")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    try:
        found = judge(
            asked.folder,
            raw=asked.raw,
            guidance_scale=asked.guidance_scale,
            base_guidance=asked.base_guidance,
            count=asked.captions,
            steps=asked.steps,
            fresh=asked.fresh,
        )
    except LabError as error:
        parser.error(str(error))
    print(json.dumps(found) if asked.json else as_text(found))


if __name__ == "__main__":
    main()
