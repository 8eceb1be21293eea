"""The cross-entropy search: against an independent float64 version, and at its edges."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import PRESETS, SearchConfig
from core.errors import SearchError
from core.plan import iteration_notes
from core.search import cem, diagnostics

SHAPE = (2, 3, 3)


def reference(base: np.ndarray, rewards: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 in float64 numpy: base (N, K, ...), rewards (N, K) -> mu and sigma after N rounds."""
    mu, sigma = np.zeros(base.shape[2:]), np.ones(base.shape[2:])
    for noise, reward in zip(base, rewards, strict=True):
        m = mu + sigma * noise
        kept = m[np.argsort(-reward, kind="stable")[:keep]]
        mu = kept.sum(0) / keep
        sigma = np.sqrt(((kept - mu) ** 2).sum(0) / keep)
    return mu, sigma


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.floats(0, 1), st.integers(0, 2**16))
def test_cem_equals_an_independent_float64_version(k: int, n: int, p: float, seed: int) -> None:
    search = SearchConfig(num_candidates=k, num_iterations=n, elite_fraction=p)
    if search.num_elites < 1:
        return
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n, k, *SHAPE)).astype(np.float32)
    rewards = np.round(rng.standard_normal((n, k)), 1)  # rounded, so that ties occur
    state = cem.start(SHAPE)
    for noise, reward in zip(base, rewards, strict=True):
        candidates = cem.ask(state, torch.from_numpy(noise))
        elites = cem.top(reward.tolist(), cem.num_elites(search, reward.tolist()))
        state = cem.tell(state, candidates, reward.tolist(), elites)
    mu, sigma = reference(base.astype(np.float64), rewards, search.num_elites)
    np.testing.assert_allclose(state.search_mean[0], mu, atol=1e-6)
    np.testing.assert_allclose(state.search_std[0], sigma, atol=1e-6)


def test_floor_of_a_float_product() -> None:
    assert SearchConfig(num_candidates=100, elite_fraction=0.29).num_elites == 29
    assert SearchConfig(num_candidates=5, elite_fraction=0.48).num_elites == 2
    assert PRESETS["one-shot"].num_elites == 12
    assert PRESETS["best-of-k"].num_elites == 1


def test_ties_go_by_index_and_non_finite_rewards_never_win() -> None:
    assert cem.top([1.0, 2.0, 2.0, 2.0], 2) == (1, 2)
    assert cem.top([math.nan, 0.5, math.inf, -1.0, -math.inf], 3) == (1, 3)


def test_no_finite_reward_leaves_the_distribution_as_it_is() -> None:
    state, noise = cem.start(SHAPE), torch.randn(3, *SHAPE)
    after = cem.tell(state, noise, [math.nan] * 3, cem.top([math.nan] * 3, 2))
    assert torch.equal(after.search_mean, state.search_mean)
    assert torch.equal(after.search_std, state.search_std)
    assert after.best is None


def test_one_elite_makes_the_std_zero_or_its_floor() -> None:
    noise = torch.randn(3, *SHAPE)
    assert float(cem.tell(cem.start(SHAPE), noise, [1, 2, 3], [2]).search_std.max()) == 0
    floored = cem.tell(cem.start(SHAPE), noise, [1, 2, 3], [2], min_std=0.1)
    assert torch.allclose(floored.search_std, torch.full((1, *SHAPE), 0.1))


@pytest.mark.parametrize("elites", [(0, 0), (3,), (-1,)])
def test_foreign_elites_are_refused(elites: tuple[int, ...]) -> None:
    with pytest.raises(SearchError, match="expected different candidates from 0 to 2"):
        cem.tell(cem.start(SHAPE), torch.randn(3, *SHAPE), [1, 2, 3], elites)


def test_a_missing_reward_is_refused() -> None:
    with pytest.raises(SearchError, match="expected one reward for each of 3 candidates, got 2"):
        cem.tell(cem.start(SHAPE), torch.randn(3, *SHAPE), [1, 2], [0])


def test_result_modes() -> None:
    noise, base = torch.randn(4, *SHAPE), torch.randn(1, *SHAPE)
    state = cem.tell(cem.start(SHAPE), noise, [0, 3, 1, 2], [1, 3])
    assert torch.equal(cem.result(state, "mean", base), noise[[1, 3]].mean(0, keepdim=True))
    assert torch.equal(cem.result(state, "best", base), noise[1:2])
    assert torch.equal(cem.result(state, "sample", base), state.search_mean + state.search_std * base)
    on_shell = cem.result(state, "mean_on_shell", base)
    assert diagnostics.norms(on_shell)[0] == pytest.approx(1, abs=1e-6)
    assert float(torch.cosine_similarity(on_shell.flatten(), state.search_mean.flatten(), dim=0)) == pytest.approx(1)
    assert torch.equal(cem.result(cem.start(SHAPE), "mean_on_shell", base), base)


def test_the_mean_leaves_the_shell_as_the_null_theory_says() -> None:
    """Without a signal: .71 after one round of 5 -> 2, about .98 after five; one-shot 25 -> 12 gives .289."""
    generator = torch.Generator().manual_seed(0)
    shape = (16, 32, 32)

    def run(count: int, rounds: int, keep: int) -> list[float]:
        state, norms = cem.start(shape), []
        for _ in range(rounds):
            candidates = cem.ask(state, torch.randn(count, *shape, generator=generator))
            state = cem.tell(state, candidates, [0.0] * count, range(keep))
            norms.append(diagnostics.norms(state.search_mean)[0])
        return norms

    five = run(5, 5, 2)
    assert five[0] == pytest.approx(0.71, abs=0.01)
    assert five[-1] == pytest.approx(0.984, abs=0.03)
    assert run(25, 1, 12)[0] == pytest.approx(0.289, abs=0.01)


def test_diagnostics_of_gaussian_noise() -> None:
    noise = torch.randn(5, 16, 32, 32, generator=torch.Generator().manual_seed(1))
    assert diagnostics.norms(noise) == pytest.approx([1] * 5, abs=0.02)
    assert diagnostics.kurtosis(noise) == pytest.approx([3] * 5, abs=0.2)
    assert diagnostics.mean_cosine(noise) == pytest.approx(0, abs=0.01)
    assert diagnostics.mean_cosine(noise[:1].expand(3, -1, -1, -1)) == pytest.approx(1)
    assert math.isnan(diagnostics.mean_cosine(noise[:1]))
    assert diagnostics.std_quantiles(torch.ones(1, 4, 4, 4)) == (1, 1, 1, 1, 1)


def test_notes_say_what_a_reader_must_know() -> None:
    assert iteration_notes([0.1, 0.2, 0.3], 2) == []
    assert "stays as it is" in iteration_notes([None, None], 1)[0]
    assert "1 of 3 rewards are not finite" in iteration_notes([0.1, None, 0.2], 2)[0]
    assert "All rewards are equal" in iteration_notes([0.5, 0.5, 0.5], 2)[0]
    assert "search_std becomes 0" in iteration_notes([0.1, 0.2], 1)[0]
    assert iteration_notes([0.1, 0.2], 1, last=True) == []


def test_the_worst_are_kept_where_a_control_asks_for_them() -> None:
    rewards, blind = (0.3, math.nan, 0.1, 0.2, 0.1), torch.Generator()
    search = SearchConfig(elite_fraction=0.48, selection="bottom")
    assert cem.chosen(search, rewards, blind) == (2, 4) and cem.bottom(rewards, 9) == (2, 4, 3, 0)
    assert cem.chosen(replace(search, selection="top"), rewards, blind) == (0, 3)
    assert cem.bottom((math.nan, math.inf), 1) == ()
