"""The one training loop of the embedded world's networks: warm-up and cosine, EMA, and checkpoints to resume from."""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class TrainConfig:
    """Length and pace of one training; `seed` names initial weights and every batch."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warmup: int = 100
    ema_decay: float = 0.999
    cooldown: float = 1.0  # the last share of the steps, in which the learning rate falls
    grad_norm: float = 1.0
    seed: int = 0
    save_every: int = 200
    stop: int | None = None  # end after this many steps of the plan, where that is good enough


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Linear warm-up, a plateau, and half a cosine down to a hundredth over the cooldown.

    Before its cooldown a run does not depend on `steps`, so a run can be lengthened or shortened while it is under way
    and still equals one that was planned so.
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    start = max(config.warmup, round(config.steps * (1 - config.cooldown)))
    progress = (step - start) / max(1, config.steps - start)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress)))))


def train(
    model: nn.Module,
    loss_of: Callable[[nn.Module, int, torch.Generator], tuple[Tensor, dict[str, float]]],
    config: TrainConfig,
    folder: Path,
) -> nn.Module:
    """Train `model` in place and return its EMA copy; resumes from `folder` when a checkpoint lies there.

    `loss_of(model, step, generator)` returns the loss and figures to log; the generator is seeded by (seed, step), so
    that a resumed run sees the batches of an undisturbed one. Writes `log.jsonl`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True
    )
    first, seconds = _resume(folder, model, ema, optimizer)
    bf16 = torch.autocast("cpu", dtype=torch.bfloat16)
    figures: dict[str, float] = {}
    last = config.steps if config.stop is None else config.stop
    for step in range(first, last):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, config)
        generator = torch.Generator().manual_seed(config.seed * 10_000_019 + step)
        with bf16:
            loss, logged = loss_of(model, step, generator)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}; the last checkpoint is in {folder}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.grad_norm)
        optimizer.step()
        decay = min(config.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, current in zip(ema.parameters(), model.parameters(), strict=True):
                average.lerp_(current, 1 - decay)
        seconds += time.perf_counter() - started
        for name, value in logged.items():
            figures[name] = value if name not in figures else 0.98 * figures[name] + 0.02 * value
        if (step + 1) % 50 == 0:
            row = {"step": step + 1, "seconds": round(seconds, 1), **{k: round(v, 5) for k, v in figures.items()}}
            print(json.dumps(row), flush=True)
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
        if (step + 1) % config.save_every == 0 or step + 1 == last:
            _save(folder, step + 1, seconds, model, ema, optimizer)
    return ema


def _save(
    folder: Path, step: int, seconds: float, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in ema.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v).clone() for k, v in state.items()}
    temporary = folder / "checkpoint.tmp"
    metadata = {"step": str(step), "seconds": str(seconds)}
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, temporary, metadata=metadata)
    temporary.replace(folder / "checkpoint.safetensors")


def _resume(folder: Path, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Load a checkpoint if there is one: (steps done, seconds spent)."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return 0, 0.0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    ema.load_state_dict({k.removeprefix("ema."): v for k, v in tensors.items() if k.startswith("ema.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["step"]), float(metadata["seconds"])
