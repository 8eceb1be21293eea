"""A small deterministic engine, model and reward: the worker's behaviour without weights and without torch."""

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.toolbox import Toolbox
from core.config import READINGS, RESULT_MODES, ExploreConfig
from core.errors import ModelError, RewardError
from core.events import (
    ArmFinished,
    Branch,
    CandidateFinished,
    Cost,
    ExploreEvent,
    ExploreState,
    IterationScored,
    MeasureStarted,
    Returned,
    SessionFinished,
    SessionStarted,
    SiblingsMeasured,
    StepCommitted,
)
from core.measure_config import MeasureConfig
from core.schedule import in_window, shifted
from core.train_config import TrainConfig
from core.train_events import (
    CheckpointMade,
    Diagnosed,
    EpochFinished,
    SamplesDrawn,
    SearchWatched,
    TrainEvent,
    TrainFinished,
    TrainStarted,
)

SHAPE = (1, 2, 3, 3)


@dataclass
class FakeModel:
    """`before` is called with each event's name before it is yielded: a test waits, commands or fails there."""

    before: Callable[[str], None] = lambda name: None
    adapter: bytes = b""


def fake_reward(images: Sequence[np.ndarray], prompts: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(image.mean()) / 255 + len(prompt) * 1e-6 for image, prompt in zip(images, prompts, strict=True))


def fake_explore(
    config: ExploreConfig, model: FakeModel, rewards: Mapping[str, Callable], *, state: ExploreState | None = None
) -> Generator[ExploreEvent, tuple[int, ...] | None, None]:
    """Keeps the real engine's order of events, its resuming, and that what is chosen decides everything after it."""
    state = state or ExploreState()
    sigmas = shifted(config.num_steps)
    searched = in_window(sigmas, config.window_min, config.window_max)
    first = _draw(config, 0)
    flat = (0.5,) * config.num_steps
    yield SessionStarted(sigmas, searched, flat, flat, SHAPE[1:], first)
    latents, cost, trail = (state.committed[-1] if state.committed else first), state.cost, list(state.trail)
    for step in range(len(state.committed), config.num_steps):
        elites: tuple[int, ...] = ()
        known = state.iterations if step == len(state.committed) else ()
        for iteration in range(config.search.num_iterations if searched[step] else 0):
            if iteration < len(known):
                elites = known[iteration].elites
                continue
            model.before(f"iteration {step} {iteration}")
            cost = cost + Cost(2, 1, 1, 0.001)
            event = _iteration(config, rewards, latents, step, iteration, elites, cost)
            sent = yield event
            elites = event.elites if sent is None else tuple(sent)
        latents = (latents * np.float32(0.9) + _draw(config, 1, step, *elites)).astype(np.float32)
        cost = cost + Cost(1, 0, 0, 0.001)
        model.before(f"step {step}")
        image = _picture(latents)
        scores = _scores(config, rewards, [image])
        trail.append(_total(config, scores)[0])
        single = {name: values[0] for name, values in scores.items()}
        yield StepCommitted(step, latents, image, single, 1.0, -0.5, cost)
    total = cost + state.arms_cost
    for arm in ("search", *config.arms):
        if arm not in state.arms:
            model.before(arm)
            final = latents if arm == "search" else _draw(config, 2, len(arm))
            image = _picture(final)
            single = {name: values[0] for name, values in _scores(config, rewards, [image]).items()}
            spent = cost if arm == "search" else Cost(20, 1, 1, 0.001)
            total = total if arm == "search" else total + spent
            yield ArmFinished(arm, image, single, 1, tuple(trail) if arm == "search" else (), final, spent)
    model.before("finished")
    yield SessionFinished(total)


def fake_finish(
    config: ExploreConfig,
    model: FakeModel,
    rewards: Mapping[str, Callable],
    branch: Branch,
    candidates: Sequence[int],
) -> Iterator[CandidateFinished]:
    """What a candidate leads to depends on where it left its session and on the elites before it."""
    for candidate in candidates:
        model.before(f"finish {branch.step} {branch.iteration} {candidate}")
        before = sum((one.elites for one in branch.earlier), ())
        start = np.zeros(SHAPE, np.float32) if branch.latents is None else np.asarray(branch.latents)
        final = start + _draw(config, 4, branch.step + 1, branch.iteration, candidate, *before)
        image = _picture(final)
        scores = _scores(config, rewards, [image])
        single = {name: values[0] for name, values in scores.items()}
        total = _total(config, scores)[0]
        yield CandidateFinished(
            branch.step, branch.iteration, candidate, image, single, total, Cost(4, 1, len(single), 0.001)
        )


def fake_schedule(config: MeasureConfig, model: FakeModel) -> MeasureStarted:
    sigmas = tuple((config.start_sigma or 1.0) * sigma for sigma in shifted(config.base.num_steps))
    return MeasureStarted(sigmas, (0.5,) * config.base.num_steps, (0.1,) * config.base.num_steps)


def fake_measure(
    config: MeasureConfig, model: FakeModel, rewards: Mapping[str, Callable], *, done: frozenset[int] = frozenset()
) -> Iterator[SiblingsMeasured]:
    """Guesses that come nearer to the truth with every step, the multi-step ones faster."""
    sigmas = fake_schedule(config, model).sigmas
    for row, (prompt, seed) in enumerate(config.pairs):
        for step in config.measured_steps if row not in done else ():
            model.before(f"siblings {row} {step}")
            yield _siblings(config, row, prompt, seed, step, sigmas)


def fake_train(
    config: TrainConfig, model: FakeModel, rewards: Mapping[str, Callable], *, state: Mapping | None = None
) -> Generator[TrainEvent, str | None, None]:
    """Keeps the real trainer's order of events and commands; its weights depend on every epoch before."""
    now = dict(state) if state else {"epoch": -1, "weights": np.zeros(4), "cost": Cost()}
    for event in _trained(config, model, rewards, now):
        command = yield event
        while command is not None:
            command = yield _sheet(config, now) if command == "sample" else CheckpointMade(now["epoch"], dict(now))


def _trained(config: TrainConfig, model: FakeModel, rewards: Mapping[str, Callable], now: dict) -> Iterator[TrainEvent]:
    prompts = tuple(config.prompts) or ("a photo of a red circle",)
    yield TrainStarted(shifted(config.num_steps), 100, 4, 0.01, 18, prompts, prompts, prompts, 24.0, 0.001)
    for epoch in range(now["epoch"] + 1, config.epochs + 1):
        model.before(f"epoch {epoch}")
        now["epoch"] = epoch
        if epoch:
            now["weights"] = now["weights"] * 0.9 + np.random.default_rng([config.seed, epoch]).normal(size=4)
            now["cost"] = now["cost"] + Cost(24, 2, 2, 0.01)
        yield _epoch(config, epoch, now["weights"], now["cost"])
        if epoch in (0, config.epochs) or (config.sample_every and not epoch % config.sample_every):
            yield _sheet(config, now)
        if config.noise_source == "search" and config.watch_every and epoch and not epoch % config.watch_every:
            session = config.of_member(prompts[0], epoch)
            yield SearchWatched(epoch, prompts[0], epoch, session, tuple(fake_explore(session, FakeModel(), rewards)))
        yield Diagnosed(epoch, (f"After {epoch} epochs <b>nothing</b> is known.",))
        if epoch == config.epochs or (config.checkpoint_every and epoch and not epoch % config.checkpoint_every):
            yield CheckpointMade(epoch, dict(now))
    model.before("finished")
    yield TrainFinished(config.epochs, now["cost"])


def _sheet(config: TrainConfig, now: Mapping) -> SamplesDrawn:
    members = [config.of_member("-", seed) for seed in range(8)]
    images = np.stack([_picture(_draw(one, 9) + np.float32(now["weights"].mean())) for one in members])
    return SamplesDrawn(now["epoch"], images, (0.5,) * len(images), config.ema)


def _epoch(config: TrainConfig, epoch: int, weights: np.ndarray, cost: Cost) -> EpochFinished:
    value = float(weights.mean())
    metrics = {"nfe": 24.0} if epoch else {}
    if epoch:
        metrics |= {"reward_mean": value, "reward_std": 0.1, "approx_kl": float("nan"), "zero_std_share": 0.25}
    if not epoch or (config.eval_every and not epoch % config.eval_every) or epoch == config.epochs:
        metrics |= {"heldout": value, "heldout_ema": value / 2, "verifier": 0.25}
    per_step = {"clip_fraction": (None, 0.1, *(None,) * (config.num_steps - 2))} if epoch else {}
    phases = {"rollout": 0.01, "update": 0.02, "total": 0.03} if epoch else {"evaluate": 0.01, "total": 0.01}
    return EpochFinished(epoch, metrics, per_step, cost, phases)


def save_fake_state(state: Mapping, folder: Path) -> None:
    """The real one's files, with the weights as plain bytes in them."""
    for part in (folder, folder / "ema"):
        part.mkdir(exist_ok=True)
        (part / "pytorch_lora_weights.safetensors").write_bytes(state["weights"].tobytes())
    plain = {"epoch": state["epoch"], "cost": asdict(state["cost"])}
    (folder / "trainer.json").write_text(json.dumps(plain))


def load_fake_state(folder: Path) -> dict:
    plain = json.loads((folder / "trainer.json").read_text())
    weights = np.frombuffer((folder / "pytorch_lora_weights.safetensors").read_bytes())
    return {"epoch": plain["epoch"], "weights": weights, "cost": Cost(**plain["cost"])}


def _siblings(
    config: MeasureConfig, row: int, prompt: str, seed: int, step: int, sigmas: Sequence[float]
) -> SiblingsMeasured:
    rng, count = np.random.default_rng([seed, row, step]), config.num_siblings
    names, near = list(config.base.rewards), step / config.base.num_steps

    def rewards(values: np.ndarray) -> dict[str, tuple[float, ...]]:
        each = {name: tuple((values * (index + 1)).tolist()) for index, name in enumerate(names)}
        total = np.sum([np.multiply(each[name], weight) for name, weight in config.base.rewards.items()], axis=0)
        return each | {"total": tuple(total.tolist())}

    def means(value: float) -> dict[str, float]:
        return {name: values[0] for name, values in rewards(np.array([value])).items()}

    truth, walked = rng.normal(size=count), float(rng.normal())
    noise = rng.normal(size=count) * (1 - near) * 2
    proxy = {name: rewards(truth + noise / (1 + index)) for index, name in enumerate(config.estimates)}
    top = np.argsort(-np.array(proxy[config.estimates[0]]["total"]))[: config.num_elites]
    returned = Returned(
        tuple(int(i) for i in top), {mode: means(float(truth[top].mean())) for mode in RESULT_MODES[:1]}, 0.1, 0.2
    )
    images = np.stack([_picture(rng.normal(size=SHAPE).astype(np.float32)) for _ in range(count)])
    return SiblingsMeasured(
        row=row,
        prompt=prompt,
        seed=seed,
        step=step,
        sigma=sigmas[step],
        sigma_next=sigmas[step + 1],
        proxy=proxy,
        truth=rewards(truth),
        walked=means(walked * near),
        ended=means(float(np.random.default_rng([seed, row]).normal())),
        latent_distance={name: tuple(abs(noise).tolist()) for name in config.estimates},
        pixel_distance={name: tuple(abs(noise).tolist()) for name in config.estimates},
        returned={name: returned for name in config.estimates if name in READINGS},
        guesses=images,
        finals=images[::-1].copy(),
        cost={name: Cost(2 * count, count, count * len(names), 0.01) for name in config.estimates},
        truth_cost=Cost(2 * count * (config.base.num_steps - 1 - step), count, count * len(names), 0.01),
    )


def _iteration(
    config: ExploreConfig,
    rewards: Mapping[str, Callable],
    latents: np.ndarray,
    step: int,
    iteration: int,
    elites: tuple[int, ...],
    cost: Cost,
) -> IterationScored:
    count = config.search.num_candidates
    images = np.stack([_picture(latents + _draw(config, 3, step, iteration, k, *elites)) for k in range(count)])
    scores = _scores(config, rewards, list(images))
    total = _total(config, scores)
    order = sorted(range(count), key=lambda k: (-total[k], k))
    return IterationScored(
        step=step,
        iteration=iteration,
        images=images,
        rewards=scores,
        total=total,
        elites=tuple(order[: config.search.num_elites]),
        norms=(1.0,) * count,
        kurtosis=(3.0,) * count,
        mean_norm=0.5,
        std_quantiles=(0.1, 0.2, 0.3, 0.4, 0.5),
        cosine=0.25,
        over_noise=1.0,
        batch_size=count,
        cost=cost,
    )


def _draw(config: ExploreConfig, *name: int) -> np.ndarray:
    return np.random.default_rng([config.seed, *name]).normal(size=SHAPE).astype(np.float32)


def _picture(latents: np.ndarray) -> np.ndarray:
    small = np.uint8(np.clip(latents[0].sum(0) * 40 + 128, 0, 255))
    return np.repeat(np.repeat(np.stack([small, small[::-1], small.T], -1), 5, 0), 5, 1)


def _scores(config: ExploreConfig, rewards: Mapping[str, Callable], images: list) -> dict[str, tuple[float, ...]]:
    return {name: rewards[name](images, [config.prompt] * len(images)) for name in config.rewards}


def _total(config: ExploreConfig, scores: Mapping[str, tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(
        sum(w * scores[name][k] for name, w in config.rewards.items()) for k in range(len(next(iter(scores.values()))))
    )


def fake_toolbox(before: Callable[[str], None] = lambda name: None, reward: Callable = fake_reward) -> Toolbox:
    """Model ids and rewards beginning with "no-" cannot be loaded."""

    def load_model(model_id: str) -> FakeModel:
        if model_id.startswith("no-"):
            raise ModelError(f"the weights of {model_id} are not on this machine")
        return FakeModel(before)

    def load_reward(name: str) -> Callable:
        if name.startswith("no-"):
            raise RewardError(f"the weights of {name} are not on this machine")
        return reward

    def load_adapter(model: FakeModel, file: Path) -> None:
        model.adapter = file.read_bytes()

    return Toolbox(
        explore=fake_explore,
        finish=fake_finish,
        load_model=load_model,
        load_reward=load_reward,
        measure=fake_measure,
        schedule=fake_schedule,
        train=fake_train,
        save_state=save_fake_state,
        load_state=load_fake_state,
        load_adapter=load_adapter,
        to_tensor=np.array,
    )


def paced_toolbox(_device: str) -> Toolbox:
    """For worker processes: LAB_TEST_DELAY seconds between events, and sudden death before the one named so."""
    delay, fatal = float(os.environ.get("LAB_TEST_DELAY", "0")), os.environ.get("LAB_TEST_FATAL")

    def before(name: str) -> None:
        time.sleep(delay)
        if name == fatal:
            os.kill(os.getpid(), 9)

    return fake_toolbox(before)
