"""The cross-entropy method over noise (the paper's algorithm 1) as an immutable state with `ask` and `tell`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import ResultMode, SearchConfig
from core.errors import SearchError


@dataclass(frozen=True)
class CEMState:
    """A diagonal Gaussian over noises and the best candidate so far. Tensors (1, C, H, W)."""

    search_mean: Tensor
    search_std: Tensor
    best: Tensor | None = None
    best_reward: float = -math.inf


def start(shape: tuple[int, ...]) -> CEMState:
    """Mean 0 and standard deviation 1 of the latents' shape (C, H, W)."""
    return CEMState(torch.zeros(1, *shape), torch.ones(1, *shape))


def ask(state: CEMState, base_noise: Tensor) -> Tensor:
    """Candidate noises m_i = mu + sigma n_i (Eq. 4) from standard normal draws (K, C, H, W)."""
    return state.search_mean + state.search_std * base_noise


def num_elites(search: SearchConfig, total: Sequence[float]) -> int:
    """T = floor(P K), at most the number of finite rewards."""
    return min(search.num_elites, sum(map(math.isfinite, total)))


def top(total: Sequence[float], count: int) -> tuple[int, ...]:
    """Indices of the `count` highest finite rewards, ties by index; non-finite rewards never win."""
    finite = [i for i, reward in enumerate(total) if math.isfinite(reward)]
    return tuple(sorted(finite, key=lambda i: (-total[i], i))[:count])


def bottom(total: Sequence[float], count: int) -> tuple[int, ...]:
    """Indices of the `count` lowest finite rewards, ties by index (a control: what climbs the wrong way)."""
    return top([-reward for reward in total], count)


def chosen(search: SearchConfig, total: Sequence[float], blind: torch.Generator) -> tuple[int, ...]:
    """The elites of an iteration by the search's `selection`; `blind` is what a random one draws from."""
    count = num_elites(search, total)
    if search.selection == "random":
        return random_choice(total, count, blind)
    return (bottom if search.selection == "bottom" else top)(total, count)


def random_choice(total: Sequence[float], count: int, generator: torch.Generator) -> tuple[int, ...]:
    """`count` candidates with finite rewards, drawn without looking at their rewards (the control)."""
    finite = [i for i, reward in enumerate(total) if math.isfinite(reward)]
    order = torch.randperm(len(finite), generator=generator).tolist()
    return tuple(finite[i] for i in order[:count])


def tell(
    state: CEMState, noise: Tensor, total: Sequence[float], elites: Sequence[int], *, min_std: float = 0.0
) -> CEMState:
    """The next distribution: mean and standard deviation of the elites, variance divided by T (algorithm 1, line 7).

    noise: (K, C, H, W); total: K rewards; elites: indices into them. Without elites (no finite reward) the distribution
    stays as it is. One elite makes the standard deviation `min_std`. Raises SearchError for elites that are not
    different candidates' indices.
    """
    if len(total) != len(noise):
        raise SearchError(f"expected one reward for each of {len(noise)} candidates, got {len(total)}")
    if len(set(elites)) != len(elites) or not all(0 <= i < len(noise) for i in elites):
        raise SearchError(f"expected different candidates from 0 to {len(noise) - 1} as elites, got {tuple(elites)}")
    best, best_reward = state.best, state.best_reward
    for index in top(total, 1):
        if total[index] > best_reward:
            best, best_reward = noise[index : index + 1], total[index]
    if not elites:
        return CEMState(state.search_mean, state.search_std, best, best_reward)
    chosen = noise[list(elites)]
    search_mean = chosen.mean(0, keepdim=True)
    variance = ((chosen - search_mean) ** 2).mean(0, keepdim=True)
    return CEMState(search_mean, variance.sqrt().clamp(min=min_std), best, best_reward)


def result(state: CEMState, mode: ResultMode, base_noise: Tensor) -> Tensor:
    """The noise (1, C, H, W) that a finished search commits.

    `mean` mu; `sample` mu + sigma n with n = `base_noise`; `best` the best candidate seen (mu when none was finite);
    `mean_on_shell` mu rescaled to norm sqrt(d), the size of a real noise. Before any update mu is zero and has no
    direction: `mean_on_shell` then gives `base_noise`.
    """
    if mode == "sample":
        return ask(state, base_noise)
    if mode == "best" and state.best is not None:
        return state.best
    if mode == "mean_on_shell":
        norm = shell_norm(state.search_mean)
        return state.search_mean / norm if float(norm) > 0 else base_noise
    return state.search_mean


def shell_norm(noise: Tensor) -> Tensor:
    """||m|| / sqrt(d) of every noise (B, ...), (B,) shaped to broadcast; 1 is where Gaussian noise lies."""
    return noise.pow(2).mean(dim=tuple(range(1, noise.ndim)), keepdim=True).sqrt()
