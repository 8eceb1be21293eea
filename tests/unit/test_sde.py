"""The stochastic steps against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.schedule import in_window, shifted
from core.sde import excess_std, sde_step, step_stds

SHAPE = (3, 2, 4, 4)


def draws(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents, velocity and noise of SHAPE."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(SHAPE, generator=generator) for _ in range(3))  # type: ignore[return-value]


def test_shift_3_schedule_is_the_published_one() -> None:
    expected = (1, 0.960, 0.913, 0.858, 0.790, 0.707, 0.602, 0.465, 0.278, 0.009, 0)
    assert shifted(10) == pytest.approx(expected, abs=6e-4)


def test_injected_and_excess_noise_of_the_default_schedule() -> None:
    sigmas = shifted(10)
    injected = (0.70, 0.74, 0.54, 0.45, 0.39, 0.35, 0.32, 0.28, 0.225, 0.006)
    assert step_stds(sigmas, "sde", 0.7) == pytest.approx(injected, abs=6e-3)
    excess = [excess_std("sde", a, b, 0.7, sigmas[1]) for a, b in zip(sigmas, sigmas[1:], strict=False)]
    assert excess == pytest.approx([0.28, 0.33, 0.21, 0.17, 0.16, 0.16, 0.17, 0.20, 0.24, 0.007], abs=6e-3)


def test_sde_moments_written_out_in_float64() -> None:
    x, v, noise = draws()
    sigma, sigma_next, a = 0.6, 0.45, 0.7
    step = sde_step(v, x, sigma, sigma_next, noise_level=a, noise=noise)
    dt = sigma_next - sigma
    std_dev_t = a * math.sqrt(sigma / (1 - sigma))
    x64, v64 = x.double().numpy(), v.double().numpy()
    drift = std_dev_t**2 / (2 * sigma)
    mean = x64 * (1 + drift * dt) + v64 * (1 + drift * (1 - sigma)) * dt
    std = std_dev_t * math.sqrt(-dt)
    np.testing.assert_allclose(step.mean, mean, atol=1e-6)
    np.testing.assert_allclose(step.prev_sample, mean + std * noise.numpy(), atol=1e-6)
    assert step.std_dev_t.tolist() == pytest.approx([std_dev_t] * 3)
    density = -(noise.double().numpy() ** 2) / 2 - math.log(std) - 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(step.log_prob, density.mean((1, 2, 3)), atol=1e-5)


@pytest.mark.parametrize("kind", ["sde", "cps", "dance"])
def test_scoring_what_was_drawn_gives_the_same_log_prob(kind: str) -> None:
    x, v, noise = draws(1)
    drawn = sde_step(v, x, 0.7, 0.5, kind=kind, noise=noise)
    scored = sde_step(v, x, 0.7, 0.5, kind=kind, prev_sample=drawn.prev_sample)
    torch.testing.assert_close(scored.log_prob, drawn.log_prob)
    torch.testing.assert_close(scored.mean, drawn.mean)


def test_dance_equals_sde_with_that_constant_std_dev_t() -> None:
    x, v, noise = draws(2)
    sigma, eta = 0.65, 0.3
    dance = sde_step(v, x, sigma, 0.5, kind="dance", noise_level=eta, noise=noise)
    sde = sde_step(v, x, sigma, 0.5, kind="sde", noise_level=eta / math.sqrt(sigma / (1 - sigma)), noise=noise)
    torch.testing.assert_close(dance.prev_sample, sde.prev_sample, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(dance.log_prob, sde.log_prob)


def test_cps_keeps_the_marginal_noise_level() -> None:
    """With an exact velocity the noise after a cps step has std sigma_next: nothing is in excess."""
    sigmas = shifted(10)
    for a, b in zip(sigmas, sigmas[1:], strict=False):
        assert excess_std("cps", a, b, 0.8, sigmas[1]) == pytest.approx(0, abs=1e-3)


def test_small_steps_of_the_sde_keep_the_marginals_of_a_gaussian() -> None:
    """Data N(0, s^2) has the exact velocity E[x_1 - x_0 | x]; many small steps end at N(0, s^2)."""
    s, generator = 0.5, torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 1, 1, 1, generator=generator)
    sigmas = [1 - 0.999 * i / 800 for i in range(800)] + [0.001]
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        variance = (1 - sigma) ** 2 * s**2 + sigma**2
        velocity = x * (sigma - (1 - sigma) * s**2) / variance
        noise = torch.randn(x.shape, generator=generator)
        x = sde_step(velocity, x, sigma, sigma_next, noise_level=0.7, sigma_max=sigmas[1], noise=noise).prev_sample
    assert float(x.std()) == pytest.approx(s, rel=0.03)


def test_ode_is_euler_and_has_no_log_prob() -> None:
    x, v, _ = draws(3)
    step = sde_step(v, x, 0.5, 0.3, kind="ode")
    torch.testing.assert_close(step.prev_sample, x - 0.2 * v)
    assert step.log_prob.tolist() == [0, 0, 0]
    assert step.step_std.tolist() == [0, 0, 0]


def test_zero_noise_level_has_zero_log_prob() -> None:
    x, v, noise = draws(4)
    for kind in ("sde", "cps", "dance"):
        step = sde_step(v, x, 0.5, 0.3, kind=kind, noise_level=0.0, noise=noise)
        assert step.log_prob.tolist() == [0, 0, 0]
        torch.testing.assert_close(step.prev_sample, x - 0.2 * v, atol=1e-6, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3), st.sampled_from(["sde", "cps", "dance"]))
def test_a_batch_of_sigmas_is_the_same_as_one_by_one(sigmas: list[float], kind: str) -> None:
    x, v, noise = draws(5)
    after = [s * 0.8 for s in sigmas]
    together = sde_step(v, x, torch.tensor(sigmas), torch.tensor(after), kind=kind, noise=noise)
    for i in range(3):
        one = slice(i, i + 1)
        alone = sde_step(v[one], x[one], sigmas[i], after[i], kind=kind, noise=noise[one])
        torch.testing.assert_close(together.prev_sample[one], alone.prev_sample)
        torch.testing.assert_close(together.log_prob[one], alone.log_prob)


def test_half_precision_inputs_are_computed_in_float32() -> None:
    x, v, noise = draws(6)
    step = sde_step(v.bfloat16(), x.bfloat16(), 0.5, 0.3, noise=noise.bfloat16())
    assert step.prev_sample.dtype == torch.float32
    exact = sde_step(v.bfloat16().float(), x.bfloat16().float(), 0.5, 0.3, noise=noise.bfloat16().float())
    assert torch.equal(step.prev_sample, exact.prev_sample)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "euler"}, "expected one of sde, cps, dance, ode, got 'euler'"),
        ({}, "got neither"),
        ({"noise": torch.zeros(SHAPE), "prev_sample": torch.zeros(SHAPE)}, "got both"),
        ({"sigma": 1.0, "noise": torch.zeros(SHAPE)}, "expected sigma_max"),
        ({"sigma": torch.ones(2), "noise": torch.zeros(SHAPE)}, r"expected a float or shape \(3,\)"),
        ({"velocity": torch.zeros(1, 2), "noise": torch.zeros(SHAPE)}, "expected the latents' shape"),
    ],
)
def test_bad_input_says_what_was_expected(arguments: dict, message: str) -> None:
    x, v, _ = draws()
    given_ = {"velocity": v, "latents": x, "sigma": 0.5, "sigma_next": 0.3} | arguments
    with pytest.raises(ValueError, match=message):
        sde_step(**given_)


def test_windows_never_contain_the_last_step() -> None:
    sigmas = shifted(10)
    assert [s for s, inside in enumerate(in_window(sigmas, 0.3, 0.8)) if inside] == [4, 5, 6, 7]
    assert not in_window(sigmas, 0, 1)[-1]
    assert sum(in_window(sigmas, 0, 1)) == 9
