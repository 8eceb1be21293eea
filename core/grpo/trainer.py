"""The trainer: Flow-GRPO and Smart-GRPO as a generator of events.

Every random number is drawn from a stream named by seed, epoch, group and member, so the whole random state of a run is
the number of its epoch: a run that goes on from a checkpoint ends with the same weights, bit for bit, as one that was
never stopped (same machine, same threads).
"""

import math
import resource
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from core.config import ExploreConfig
from core.errors import ConfigError, LabError, TrainError
from core.events import Cost
from core.explore import explore
from core.grpo.diagnosis import diagnose
from core.grpo.epoch import check_signal, judged, prompts_of, steps_of
from core.grpo.judging import HeldOut, diversity
from core.grpo.policy import Policy
from core.grpo.rollout import Member, Trajectories, layout, members_of, prefixes, roll_out
from core.grpo.sampling import stack
from core.grpo.scoring import Scorer
from core.grpo.updates import Updates
from core.models.protocol import FlowModel
from core.prompts import prompt_set, split_lines
from core.rewards.protocol import Reward
from core.schedule import in_window
from core.train_config import TrainConfig, config_hash, from_dict, to_dict, validate, windows
from core.train_events import (
    CheckpointMade,
    Command,
    Diagnosed,
    EpochFinished,
    SamplesDrawn,
    SearchWatched,
    TrainEvent,
    TrainFinished,
    TrainStarted,
)
from core.train_plan import SAMPLES, forwards

Training = Generator[TrainEvent, Command | None, None]


def train(
    config: TrainConfig, model: FlowModel, rewards: Mapping[str, Reward], *, state: Mapping[str, Any] | None = None
) -> Training:
    """Train an adapter for `model`, yielding events; sending "sample" or "save" after one asks for a sheet or a state.

    `rewards` holds at least the config's, by name. With the `state` of a CheckpointMade only what comes after it is
    yielded (behind TrainStarted, which always comes first). The model is left as it was found when the generator ends
    or is closed. Raises ConfigError, and TrainError for everything that stops a run on its way.
    """
    validate(config)
    if missing := [name for name in config.rewards if name not in rewards]:
        raise ConfigError({"rewards": f"expected loaded rewards, got none named {', '.join(missing)}"})
    policy = Policy(config, model)
    try:
        run = _Run(config, model, rewards, policy)
        if state is not None:
            run.restore(state)
        yield from _answering(run.events(), run)
    finally:
        policy.remove()


def _answering(events: Generator[TrainEvent, None, None], run: "_Run") -> Training:
    """Pass events on, and answer what is sent back."""
    for event in events:
        command = yield event
        while command is not None:
            command = yield run.sheet() if command == "sample" else run.checkpoint()


def trained_prompts(config: TrainConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The prompts to learn from and those to be judged by. Raises ConfigError for an unknown set."""
    if config.prompts:
        learned, judged = (split_lines(config.prompts, split) for split in ("train", "eval"))
    else:
        learned, judged = (prompt_set(config.prompt_set, split) for split in ("train", "eval"))
    return learned, judged[: config.eval_prompts]


class _Run:
    """The working parts of one fine-tune; `epoch` is the last one done."""

    def __init__(self, config: TrainConfig, model: FlowModel, rewards: Mapping[str, Reward], policy: Policy):
        self.config, self.model, self.rewards, self.policy = config, model, rewards, policy
        self.scorer = Scorer(config, model, rewards)
        self.places = windows(config, self.scorer.sigmas)
        self.prompts, self.eval_prompts = trained_prompts(config)
        embedding = [one for name in config.rewards if hasattr(one := rewards[name], "embed_images")]
        self.features: Any = torch.no_grad()(embedding[0].embed_images) if embedding else None
        self.held_out = HeldOut(self.scorer, self.eval_prompts, self.features)
        self.dimension = math.prod(self.scorer.shape)
        self.clip_range = config.clip_for(self.dimension)
        self.optimizer = torch.optim.AdamW(
            list(policy.parameters.values()), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=False
        )
        self.epoch = 0
        self.stored_epoch: int | None = None
        self.cost, self.elapsed = Cost(), 0.0
        self.history: list[dict[str, float]] = []
        self.told: tuple[str, ...] = ()

    # What comes when

    def events(self) -> Generator[TrainEvent, None, None]:
        """TrainStarted, epoch 0 unless it was restored, and the epochs that are left."""
        yield self._guarded(self._started)
        if not self.history:
            yield self._guarded(lambda: self._look_only())
            yield self.sheet()
        done = self.epoch >= self.config.epochs
        while not done:
            event = self._guarded(self._epoch)
            done = self._is_last()
            yield event
            if self._due(self.config.sample_every):
                yield self.sheet()
            if self.config.watch_every and self.epoch % self.config.watch_every == 0 and self._searches():
                yield self._guarded(self._watch)
            sentences = diagnose(self.history, self.config)
            if sentences != self.told:
                self.told = sentences
                yield Diagnosed(self.epoch, sentences)
            if self._due(self.config.checkpoint_every):
                yield self.checkpoint()
        yield TrainFinished(self.epoch, self.cost)

    def _is_last(self) -> bool:
        limit = self.config.max_seconds
        return self.epoch >= self.config.epochs or (limit is not None and self.elapsed >= limit)

    def _due(self, every: int) -> bool:
        return self._is_last() or (every > 0 and self.epoch % every == 0)

    def _searches(self) -> bool:
        return self.config.noise_source == "search" and self.config.searched_members > 0

    def _guarded(self, work: Any) -> Any:
        """Do the work; whatever stops it says where the run stands."""
        try:
            return work()
        except ConfigError:
            raise
        except (LabError, MemoryError, RuntimeError) as error:
            raise TrainError(f"{_told(error)} {self._standing()}") from error

    def _standing(self) -> str:
        where = f"This was in epoch {self.epoch + 1}."
        if self.stored_epoch is None:
            return f"{where} Nothing had been stored yet."
        return f"{where} The state after epoch {self.stored_epoch} is stored and unharmed."

    # One epoch

    def _epoch(self) -> EpochFinished:
        config, scorer, clock = self.config, self.scorer, self.scorer.clock
        began = time.perf_counter()
        clock.seconds.clear()
        before = scorer.meter.cost
        number = self.epoch + 1
        steps = steps_of(config, self.places, number)
        members = members_of(config, number, prompts_of(config, self.prompts, number))
        inside = in_window(scorer.sigmas, config.window_min, config.window_max)
        searched = frozenset(step for step in steps if inside[step]) if self._searches() else frozenset()
        with clock.phase("rollout"):
            starts = prefixes(scorer, members, steps[0])
            parts = layout(config, members)
            updates = [[roll_out(scorer, part, starts, steps, searched) for part in update] for update in parts]
        everyone = [one for parts in updates for one in parts]
        group, metrics = judged(scorer, everyone)
        metrics |= self._drawn(everyone)
        check_signal(self.history, metrics, config)
        with clock.phase("update"):
            learning = Updates(
                scorer,
                self.policy,
                self.optimizer,
                self.clip_range,
                {(one.group, one.index): float(group.values[one.group, one.index]) for one in members},
                with_reference=config.kl_beta > 0 or self._evaluates(number),
            )
            learned = learning.run(updates)
        return self._finish(number, began, before, metrics | learned.metrics, learned.per_step)

    def _evaluates(self, number: int) -> bool:
        every = self.config.eval_every
        return number >= self.config.epochs or (every > 0 and number % every == 0)

    def _finish(
        self,
        number: int,
        began: float,
        before: Cost,
        metrics: dict[str, float],
        per_step: dict[str, tuple[float | None, ...]],
    ) -> EpochFinished:
        """Close an epoch's books, and judge it where that is due."""
        scorer, clock = self.scorer, self.scorer.clock
        spent = scorer.meter.cost
        seconds = time.perf_counter() - began
        self.cost += Cost(
            spent.nfe - before.nfe,
            spent.decodes - before.decodes,
            spent.reward_calls - before.reward_calls,
            seconds,
        )
        metrics["nfe"] = float(spent.nfe - before.nfe)
        self.epoch = number
        limit = self.config.max_seconds
        over = limit is not None and self.elapsed + seconds >= limit
        if self._evaluates(number) or over:
            metrics |= self._judged()
        metrics["peak_memory_mb"] = _peak_memory(self.model)
        total = time.perf_counter() - began
        self.elapsed += total
        parts = {name: value for name, value in clock.seconds.items()}
        parts["other"] = max(0.0, total - sum(parts.values()))
        self.history.append({"epoch": float(number)} | _finite(metrics))
        return EpochFinished(number, _finite(metrics), per_step, self.cost, parts | {"total": total})

    def _look_only(self) -> EpochFinished:
        """Epoch 0: the model as it was found."""
        clock = self.scorer.clock
        clock.seconds.clear()
        before, cost = self.scorer.meter.cost, self.cost
        event = self._finish_looking(before)
        self.cost = cost
        return event

    def _finish_looking(self, before: Cost) -> EpochFinished:
        began = time.perf_counter()
        metrics = self._judged() | {"peak_memory_mb": _peak_memory(self.model)}
        total = time.perf_counter() - began
        self.elapsed += total
        self.history.append({"epoch": 0.0} | _finite(metrics))
        seconds = dict(self.scorer.clock.seconds) | {"total": total}
        return EpochFinished(0, _finite(metrics), {}, self.cost, seconds)

    def _judged(self) -> dict[str, float]:
        with self.scorer.clock.phase("evaluate"):
            found, nfe = self.held_out.judge()
            if self.policy.average:
                if self.policy.updates:
                    with self.policy.averaged():
                        more, again = self.held_out.judge("_ema")
                else:  # the average is the weights themselves
                    more, again = {_averaged(name): value for name, value in found.items()}, 0
                found, nfe = found | more, nfe + again
        return found | {"nfe_eval": float(nfe)}

    def _drawn(self, everyone: Sequence[Trajectories]) -> dict[str, float]:
        """The noises' size and the pictures' variety."""
        found = {"noise_norm": float(torch.cat([one.noise_norm.flatten() for one in everyone]).mean())}
        if self.features is not None:
            with self.scorer.clock.phase("reward"):
                features = torch.cat([self.features(one.pixels) for one in everyone])
            groups = [member.group for one in everyone for member in one.members]
            if (value := diversity(features, groups)) is not None:
                found["diversity"] = value
        return found

    # What is drawn, watched and stored beside it

    def sheet(self) -> SamplesDrawn:
        """The sample sheet of the present weights, averaged where there is an average."""
        with self.scorer.clock.phase("sample"):
            if self.policy.average and self.policy.updates:
                with self.policy.averaged():
                    images, rewards, _ = self._guarded(self.held_out.sheet)
            else:
                images, rewards, _ = self._guarded(self.held_out.sheet)
        return SamplesDrawn(self.epoch, images, rewards, bool(self.policy.average))

    def _watch(self) -> SearchWatched:
        """The first member's search of this epoch as a session."""
        with self.scorer.clock.phase("watch"):
            began = time.perf_counter()
            member: Member = members_of(self.config, self.epoch, prompts_of(self.config, self.prompts, self.epoch))[0]
            config = self._session(member)
            events = tuple(explore(config, self.model, self.rewards))
            self.elapsed += time.perf_counter() - began
        return SearchWatched(self.epoch, member.prompt, member.seed, config, events)

    def _session(self, member: Member) -> ExploreConfig:
        config, steps = (
            self.config.of_member(member.prompt, member.seed),
            steps_of(self.config, self.places, self.epoch),
        )
        if self.config.sde_window is None:
            return config
        sigmas = self.scorer.sigmas
        return ExploreConfig(**(vars(config) | {"window_min": sigmas[steps[-1]], "window_max": sigmas[steps[0]]}))

    def _started(self) -> TrainStarted:
        plan = forwards(self.config, self.scorer.sigmas, self.model.nfe(self.scorer.encode(self.prompts[0])))
        return TrainStarted(
            sigmas=self.scorer.sigmas,
            num_parameters=self.policy.num_parameters,
            trainable_parameters=self.policy.num_trainable,
            clip_range=self.clip_range,
            latent_dim=self.dimension,
            prompts=self.prompts,
            eval_prompts=self.eval_prompts,
            sample_prompts=self.eval_prompts[:SAMPLES],
            nfe_per_epoch=plan.epoch,
            micro_seconds=self._micro_seconds(),
        )

    def _micro_seconds(self) -> float:
        """One micro-batch forward and backward, the second of two; nothing is learned from it."""
        scorer, count = (
            self.scorer,
            min(self.config.micro_batch, self.config.group_size * self.config.prompts_per_epoch),
        )
        conditioning = stack([scorer.encode(self.prompts[0])] * count)
        seconds = 0.0
        for _ in range(2):
            began = time.perf_counter()
            velocity = self.model.velocity(torch.zeros(count, *scorer.shape), scorer.sigmas[1], conditioning)
            velocity.mean().backward()
            seconds = time.perf_counter() - began
        self.optimizer.zero_grad(set_to_none=True)
        return seconds

    def checkpoint(self) -> CheckpointMade:
        """Everything to go on from the end of this epoch."""
        self.stored_epoch = self.epoch
        moments = {}
        for name, parameter in self.policy.parameters.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                moments[f"{key}/{name}"] = torch.as_tensor(value).detach().to("cpu", copy=True)
        state = {
            "epoch": self.epoch,
            "config": to_dict(self.config),
            "adapter": self.policy.description(),
            "lora": self.policy.weights(),
            "ema": {name: value.clone() for name, value in self.policy.average.items()},
            "moments": moments,
            "updates": self.policy.updates,
            "cost": asdict(self.cost),
            "elapsed": self.elapsed,
            "history": [dict(one) for one in self.history],
        }
        return CheckpointMade(self.epoch, state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state. Raises TrainError for one of another config (but for its length)."""
        stored = from_dict(state["config"])
        same = {"epochs": self.config.epochs}
        if config_hash(TrainConfig(**(vars(stored) | same))) != config_hash(self.config):
            raise TrainError("the stored state belongs to a run with other settings")
        self.policy.set_weights(state["lora"])
        self.policy.average = {name: value.clone() for name, value in state["ema"].items()}
        self.policy.updates = state["updates"]
        for key, value in state["moments"].items():
            kind, _, name = key.partition("/")
            self.optimizer.state[self.policy.parameters[name]][kind] = value.clone()
        self.epoch = self.stored_epoch = state["epoch"]
        self.cost, self.elapsed = Cost(**state["cost"]), state["elapsed"]
        self.history = [dict(one) for one in state["history"]]
        self.told = diagnose(self.history, self.config)


def _averaged(name: str) -> str:
    """A held-out figure's name for the averaged weights: heldout/x is heldout_ema/x."""
    head, slash, tail = name.partition("/")
    return f"{head}_ema{slash}{tail}"


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _told(error: BaseException) -> str:
    """An error in words, with what to do where memory ran out."""
    text = str(error) or type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        return f"Memory ran out ({text.splitlines()[0][:200]}). Lower micro_batch, or turn on gradient_checkpointing."
    end = "" if text.endswith((".", "?", "!")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _peak_memory(model: FlowModel) -> float:
    """MB at most since the process began: of the GPU's memory, or without one of this process."""
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated(model.device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
