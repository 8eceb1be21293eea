"""What learns: the policy, its optimiser and the prompts, an epoch at a time. Nothing here knows of events."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.config import ExploreConfig
from core.grpo.epoch import check_signal, judged, prompts_of, steps_of
from core.grpo.judging import diversity
from core.grpo.policy import Policy
from core.grpo.rollout import Trajectories, layout, members_of, prefixes, roll_out
from core.grpo.sampling import stack
from core.grpo.scoring import Scorer
from core.grpo.updates import Updates
from core.schedule import in_window
from core.train_config import windows


class Learner:
    """One fine-tune's moving parts. `features` embeds pictures as unit vectors, None where no reward of it can."""

    def __init__(self, scorer: Scorer, policy: Policy, prompts: Sequence[str], features: Any):
        """Raises ConfigError where the schedule has no room for the window."""
        config = scorer.config
        self.config, self.scorer, self.policy = config, scorer, policy
        self.prompts, self.features = prompts, features
        self.places = windows(config, scorer.sigmas)
        self.dimension = math.prod(scorer.shape)
        self.clip_range = config.clip_for(self.dimension)
        self.optimizer = torch.optim.AdamW(
            list(policy.parameters.values()), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=False
        )

    @property
    def searches(self) -> bool:
        """Whether noises are searched at all."""
        return self.config.noise_source == "search" and self.config.searched_members > 0

    def epoch(
        self, number: int, history: Sequence[Mapping[str, float]], *, with_reference: bool
    ) -> tuple[dict[str, float], dict[str, tuple[float | None, ...]]]:
        """Draw an epoch's pictures and learn from them: its metrics, and those by timestep.

        Raises TrainError where there is nothing to learn or values are not finite, and what model and rewards raise.
        """
        config, scorer = self.config, self.scorer
        steps = steps_of(config, self.places, number)
        members = members_of(config, number, prompts_of(config, self.prompts, number))
        inside = in_window(scorer.sigmas, config.window_min, config.window_max)
        searched = frozenset(step for step in steps if inside[step]) if self.searches else frozenset()
        with scorer.clock.phase("rollout"):
            starts = prefixes(scorer, members, steps[0])
            parts = layout(config, members)
            updates = [[roll_out(scorer, part, starts, steps, searched) for part in update] for update in parts]
        drawn = [one for update in updates for one in update]
        group, metrics = judged(scorer, drawn)
        metrics |= self._described(drawn)
        check_signal(history, metrics, config)
        with scorer.clock.phase("update"):
            learned = Updates(
                scorer,
                self.policy,
                self.optimizer,
                self.clip_range,
                {(one.group, one.index): float(group.values[one.group, one.index]) for one in members},
                with_reference=with_reference,
            ).run(updates)
        return metrics | learned.metrics, learned.per_step

    def _described(self, drawn: Sequence[Trajectories]) -> dict[str, float]:
        """The noises' size and the pictures' variety."""
        found = {"noise_norm": float(torch.cat([one.noise_norm.flatten() for one in drawn]).mean())}
        if self.features is not None:
            with self.scorer.clock.phase("reward"):
                features = torch.cat([self.features(one.pixels) for one in drawn])
            value = diversity(features, [member.group for one in drawn for member in one.members])
            if value is not None:
                found["diversity"] = value
        return found

    def watched(self, number: int) -> ExploreConfig:
        """The search of an epoch's first member as a session, its window narrowed to that epoch's steps."""
        member = members_of(self.config, number, prompts_of(self.config, self.prompts, number))[0]
        config = self.config.of_member(member.prompt, member.seed)
        if self.config.sde_window is None:
            return config
        steps, sigmas = steps_of(self.config, self.places, number), self.scorer.sigmas
        return replace(config, window_min=sigmas[steps[-1]], window_max=sigmas[steps[0]])

    def micro_seconds(self) -> float:
        """Wall time of one micro-batch forward and backward, the second of two; nothing is learned from it."""
        config, scorer = self.config, self.scorer
        count = min(config.micro_batch, config.group_size * config.prompts_per_epoch)
        conditioning = stack([scorer.encode(self.prompts[0])] * count)
        seconds = 0.0
        for _ in range(2):
            began = time.perf_counter()
            velocity = scorer.model.velocity(torch.zeros(count, *scorer.shape), scorer.sigmas[1], conditioning)
            velocity.mean().backward()
            seconds = time.perf_counter() - began
        self.optimizer.zero_grad(set_to_none=True)
        return seconds

    def moments(self) -> dict[str, Tensor]:
        """The optimiser's state by "kind/parameter", on the CPU."""
        return {
            f"{kind}/{name}": torch.as_tensor(value).detach().to("cpu", copy=True)
            for name, parameter in self.policy.parameters.items()
            for kind, value in self.optimizer.state.get(parameter, {}).items()
        }

    def set_moments(self, moments: Mapping[str, Tensor]) -> None:
        """Put `moments` back."""
        for key, value in moments.items():
            kind, _, name = key.partition("/")
            parameter = self.policy.parameters[name]
            # AdamW counts its steps on the CPU and keeps the rest beside the weights.
            self.optimizer.state[parameter][kind] = value.clone() if kind == "step" else value.to(parameter.device)
