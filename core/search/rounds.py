"""The rounds of one search: what it asks, from named streams, so that any of its noises can be made again.

A session stores what was kept and what it scored; noises, means and spreads are recomputed here. Resuming, finishing a
candidate, the control with blind elites and the search itself are this one code path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from core import noise
from core.config import ExploreConfig, ResultMode
from core.events import INITIAL, IterationState
from core.search.protocol import Algorithm
from core.search.registry import load_algorithm


@dataclass(frozen=True)
class Rounds:
    """The search of a config at one step (INITIAL for x_1) over latents of `shape` (C, H, W)."""

    config: ExploreConfig
    shape: tuple[int, ...]
    step: int

    @cached_property
    def algorithm(self) -> Algorithm:
        """The config's own. Raises SearchError for a name that nothing registered."""
        return load_algorithm(self.config.search.algorithm)

    def start(self) -> Any:
        """The state before the first round."""
        return self.algorithm.start(self.shape)

    def ask(self, state: Any, iteration: int) -> Tensor:
        """That round's candidates (K, C, H, W), from a state that was told of all rounds before it."""
        count = self.config.search.num_candidates
        base = noise.candidates(self.shape, count, self.config.seed, "search", self.step, iteration)
        return self.algorithm.ask(state, base)

    def tell(self, state: Any, candidates: Tensor, total: Sequence[float], elites: Sequence[int]) -> Any:
        """The state after a round."""
        return self.algorithm.tell(state, candidates, total, elites, min_std=self.config.search.min_std)

    def blind(self, iteration: int) -> torch.Generator:
        """The stream from which a round's elites are drawn by a search without a signal."""
        return noise.stream(self.config.seed, "random-elites", self.step, iteration)

    def result(self, state: Any, mode: ResultMode) -> Tensor:
        """The noise (1, C, H, W) to use.

        A trajectory starts from a noise of full size, which a mean of elites is not: x_1 takes it rescaled to the
        shell. (Embedded model, 16 held-out captions, ode, the mean of the best 12 of 25: as it is, 29% of that size, it
        lost .152 of the climbed reward against an unsearched x_1, rescaled .084.)
        """
        if self.step == INITIAL and mode == "mean":
            mode = "mean_on_shell"
        last = noise.normal(self.shape, self.config.seed, "search-result", self.step)
        return self.algorithm.result(state, mode, last)

    def candidates_after(self, past: Sequence[IterationState]) -> Tensor:
        """The candidates (K, C, H, W) of the round that follows `past`, the same bit for bit as when it was run."""
        state = self.start()
        for iteration, known in enumerate(past):
            state = self.tell(state, self.ask(state, iteration), known.total, known.elites)
        return self.ask(state, len(past))
