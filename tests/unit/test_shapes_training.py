"""The training loop: its schedule, and resuming as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from core.shapes.training import TrainConfig, learning_rate_at, train

CONFIG = TrainConfig(steps=12, batch_size=4, learning_rate=0.05, warmup=2, seed=1, save_every=4)


def fit_line(model: nn.Module, step: int, generator: torch.Generator):
    x = torch.randn(CONFIG.batch_size, 3, generator=generator)
    loss = (model(x).float() - x.sum(1, keepdim=True)).pow(2).mean()
    return loss, {"loss": float(loss.detach())}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def test_a_resumed_training_equals_an_undisturbed_one(tmp_path: Path) -> None:
    whole = train(network(), fit_line, CONFIG, tmp_path / "whole")

    def interrupted(model: nn.Module, step: int, generator: torch.Generator):
        if step == 9:
            raise KeyboardInterrupt
        return fit_line(model, step, generator)

    with pytest.raises(KeyboardInterrupt):
        train(network(), interrupted, CONFIG, tmp_path / "parts")
    resumed = train(network(), fit_line, CONFIG, tmp_path / "parts")
    assert torch.equal(whole.weight, resumed.weight) and torch.equal(whole.bias, resumed.bias)


def test_a_plan_of_other_length_is_the_same_before_its_cooldown() -> None:
    short, long = replace(CONFIG, steps=100, cooldown=0.25), replace(CONFIG, steps=200, cooldown=0.25)
    assert [learning_rate_at(s, short) for s in range(75)] == [learning_rate_at(s, long) for s in range(75)]
    assert learning_rate_at(99, short) < 0.02 * short.learning_rate + 1e-3
    assert learning_rate_at(0, short) == pytest.approx(short.learning_rate / 2)


def test_stop_ends_a_plan_early(tmp_path: Path) -> None:
    seen = []

    def watched(model: nn.Module, step: int, generator: torch.Generator):
        seen.append(step)
        return fit_line(model, step, generator)

    train(network(), watched, replace(CONFIG, stop=5), tmp_path)
    assert seen == [0, 1, 2, 3, 4]
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_a_loss_that_is_not_finite_stops_with_the_step(tmp_path: Path) -> None:
    def broken(model: nn.Module, step: int, generator: torch.Generator):
        return torch.tensor(float("nan"), requires_grad=True), {}

    with pytest.raises(FloatingPointError, match="nan at step 0"):
        train(network(), broken, CONFIG, tmp_path)
