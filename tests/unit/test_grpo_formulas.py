"""Closed forms: advantages, loss, divergence, distances, and the gradient of a policy of two steps."""

import math

import numpy as np
import pytest
import torch

from core.grpo.advantages import advantages
from core.grpo.judging import diversity, kernel_distance
from core.grpo.loss import policy_loss, reference_kl
from core.sde import sde_step


def test_advantages_over_the_batch_and_over_the_prompt():
    rewards = [[1.0, 3.0], [10.0, 14.0]]
    whole = np.std([1, 3, 10, 14])
    found = advantages(rewards, std="batch")
    np.testing.assert_allclose(found.values, np.array([[-1, 1], [-2, 2]]) / (whole + 1e-4))
    np.testing.assert_allclose(found.stds, [1, 2])
    own = advantages(rewards, std="prompt").values
    np.testing.assert_allclose(own, np.array([[-1, 1], [-1, 1]]) * np.array([[1 / 1.0001], [2 / 2.0001]]))


def test_advantages_are_cut_and_equal_or_unscored_groups_teach_nothing():
    found = advantages([[0.0] * 99 + [100.0], [5.0] * 100], std="prompt", clip=5.0)
    assert found.values[0].max() == 5.0
    assert not found.values[1].any() and found.flat.tolist() == [False, True]
    partly = advantages([[math.nan, 1.0, 3.0], [math.nan, math.inf, 2.0], [math.nan] * 3], std="prompt")
    assert partly.values[0, 0] == 0 and partly.values[0, 1] == -partly.values[0, 2] != 0
    assert not partly.values[1:].any()
    assert partly.flat.tolist() == [False, True, False] and partly.scored.sum(1).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match=r"\(prompts, members\), got \(2,\)"):
        advantages([1.0, 2.0])  # type: ignore[list-item]


def test_the_clipped_loss_takes_the_worse_of_both():
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.05])
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])
    one = policy_loss(ratio.log(), torch.zeros(5), advantage, 0.1)
    torch.testing.assert_close(one.loss, torch.tensor([-2.2, 3.0, -1.0, 1.8, -1.05]))
    assert one.clipped.tolist() == [True, True, True, True, False]
    torch.testing.assert_close(one.approx_kl, 0.5 * ratio.log() ** 2)


@pytest.mark.parametrize("kind", ["sde", "cps", "dance"])
def test_the_divergence_of_two_steps(kind):
    x, v = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    step, base = (sde_step(one, x, 0.6, 0.4, kind=kind, noise=torch.zeros_like(x)) for one in (v, v + 0.5))
    gap = (step.mean - base.mean).pow(2).mean((1, 2, 3))
    scale = 0.7 * math.sqrt(0.6 / 0.4) if kind == "sde" else float(base.step_std[0])  # sde: without dt
    torch.testing.assert_close(reference_kl(step, base, kind), gap / (2 * scale**2))


def test_no_divergence_where_a_step_has_no_noise():
    x = torch.randn(2, 1, 2, 2)
    step = sde_step(x, x, 0.6, 0.4, kind="ode")
    assert reference_kl(step, sde_step(2 * x, x, 0.6, 0.4, kind="ode"), "sde").tolist() == [0, 0]


def test_the_gradient_of_a_policy_of_two_steps():
    """v = theta x: the gradient at ratio 1 is -mean A d log p / d theta, which is known in closed form."""
    torch.manual_seed(0)
    theta = torch.tensor(0.3, requires_grad=True)
    sigmas, level, members = (0.8, 0.6, 0.45), 0.7, 4
    x, advantage, loss, known = torch.randn(members, 2, 3, 3), torch.tensor([1.0, -0.5, 2.0, 0.1]), 0.0, 0.0
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        noise = torch.randn_like(x)
        drawn = sde_step(theta.detach() * x, x, sigma, sigma_next, noise_level=level, noise=noise)
        scored = sde_step(theta * x, x, sigma, sigma_next, noise_level=level, prev_sample=drawn.prev_sample)
        loss = loss + policy_loss(scored.log_prob, drawn.log_prob, advantage, 1e-3).loss.mean() / 2
        dt, std = sigma_next - sigma, level * math.sqrt(sigma / (1 - sigma))
        slope = x * (1 + std**2 / (2 * sigma) * (1 - sigma)) * dt  # d mean / d theta
        score = (noise * slope).mean((1, 2, 3)) / (std * math.sqrt(-dt))
        known = known - (advantage * score).mean() / 2
        x = drawn.prev_sample
    loss.backward()  # type: ignore[attr-defined]
    torch.testing.assert_close(theta.grad, known)


def test_the_kernel_distance_of_equal_and_of_different_distributions():
    draw = torch.Generator().manual_seed(0)

    def sample(mean: float) -> torch.Tensor:
        raw = torch.randn(200, 8, generator=draw) + mean
        return torch.nn.functional.normalize(raw, dim=1)

    assert abs(kernel_distance(sample(0.0), sample(0.0))) < 0.1 < 0.5 < kernel_distance(sample(0.0), sample(1.0))
    a, b = sample(0.0)[:3], sample(1.0)[:3]
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    by_hand = np.mean(
        [
            float((1 + a[i] @ a[j]) ** 3 + (1 + b[i] @ b[j]) ** 3 - (1 + a[i] @ b[j]) ** 3 - (1 + b[i] @ a[j]) ** 3)
            for i, j in pairs
        ]
    )
    assert kernel_distance(a, b) == pytest.approx(by_hand, rel=1e-5)


def test_diversity_is_the_mean_distance_within_groups():
    e = torch.eye(3)
    features = torch.stack([e[0], e[1], e[0], e[2], e[2], e[2]])
    assert diversity(features, [0, 0, 0, 1, 1, 1]) == pytest.approx((2 / 3 + 0) / 2)
    assert diversity(features[:1], [0]) is None
