"""Smart-GRPO's noise: a search for every member at one step, all of a micro-batch's members in the same calls."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from core.grpo.scoring import Scorer
from core.sde import sde_step
from core.search import cem
from core.search.rounds import Rounds


class Seeded(Protocol):
    """What a search needs to know of a member."""

    @property
    def prompt(self) -> str:
        """What its picture should show."""

    @property
    def seed(self) -> int:
        """What names its random streams."""


@torch.no_grad()
def searched_noises(scorer: Scorer, members: Sequence[Seeded], step: int, latents: Tensor, velocity: Tensor) -> Tensor:
    """The noise (B, C, H, W) that each member's own search comes to (the paper's algorithm 1), without gradient.

    `latents` and `velocity` (B, C, H, W) are the members' at the step. Candidates are scored by the one-step guess and
    the trained rewards: at the same noise level (reading `literal`, Eq. 5) or where the step leads (`sde`).
    """
    with scorer.clock.phase("search"):
        config, search = scorer.config, scorer.config.search
        rounds = [Rounds(config.of_member(one.prompt, one.seed), scorer.shape, step) for one in members]
        states = [one.start() for one in rounds]
        place = _Place(scorer, step, latents, velocity)
        for iteration in range(search.num_iterations):
            asked = [one.ask(state, iteration) for one, state in zip(rounds, states, strict=True)]
            totals = place.totals(asked, [one.prompt for one in members])
            elites = [
                cem.chosen(search, total, one.blind(iteration)) for one, total in zip(rounds, totals, strict=True)
            ]
            told = zip(rounds, states, asked, totals, elites, strict=True)
            states = [one.tell(state, noises, total, kept) for one, state, noises, total, kept in told]
        return torch.cat([one.result(state, search.result) for one, state in zip(rounds, states, strict=True)])


class _Place:
    """One step of a micro-batch, where candidates are tried."""

    def __init__(self, scorer: Scorer, step: int, latents: Tensor, velocity: Tensor):
        self.scorer = scorer
        config, sigmas = scorer.config, scorer.sigmas
        taken = sde_step(
            velocity,
            latents,
            sigmas[step],
            sigmas[step + 1],
            kind=config.step_kind,
            noise_level=config.effective_noise_level,
            sigma_max=sigmas[1],
            noise=torch.zeros_like(latents),
        )
        literal = config.search.reading == "literal"
        self.centre = latents if literal else taken.mean
        self.sigma = sigmas[step] if literal else sigmas[step + 1]
        self.step_std = float(taken.step_std[0])

    def totals(self, asked: Sequence[Tensor], prompts: Sequence[str]) -> list[tuple[float, ...]]:
        """Every member's K rewards. A blind search that does not use its best noise scores nothing."""
        search, count = self.scorer.config.search, len(asked[0])
        if search.selection == "random" and search.result != "best":
            return [(0.0,) * count for _ in asked]
        tried = torch.cat([x + self.step_std * noises for x, noises in zip(self.centre, asked, strict=True)])  # Eq. 5
        flat = self.scorer.guesses(tried, self.sigma, [prompt for prompt in prompts for _ in range(count)])
        return [flat[i * count : (i + 1) * count] for i in range(len(asked))]
