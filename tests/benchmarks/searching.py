"""What a search costs beyond its model's and rewards' own work, and what batches bring. Needs the embedded model."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from app.services import Lab
from app.toolbox import Toolbox, torch_toolbox
from app.worker import Worker
from core import noise
from core.config import ExploreConfig
from core.evaluation import Evaluator
from core.models.protocol import FlowModel
from core.models.registry import load_model
from core.rewards.protocol import Reward, score
from core.rewards.registry import load_reward
from storage import jobs, sessions
from tests.benchmarks.measuring import PROMPT, Spent, temporary_lab, timed

ROUNDS = 9
FEW = 6  # calls that decide on a size of batch
SIZES = (1, 2, 3, 4, 5, 8, 16, 32)


@dataclass
class Calls:
    """What a session asked of its model and rewards: the inputs in order, by kind."""

    velocity: list[tuple[Any, ...]] = field(default_factory=list)
    decode: list[Tensor] = field(default_factory=list)
    preview: list[Tensor] = field(default_factory=list)
    reward: list[tuple[str, Tensor, list[str]]] = field(default_factory=list)


class Listening:
    """A model that notes what is asked of it and passes it on."""

    def __init__(self, model: FlowModel, calls: Calls):
        self._model, self._calls = model, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def velocity(self, latents: Tensor, sigma: float, conditioning: Any) -> Tensor:
        self._calls.velocity.append((latents, sigma, conditioning))
        return self._model.velocity(latents, sigma, conditioning)

    def decode(self, latents: Tensor) -> Tensor:
        self._calls.decode.append(latents)
        return self._model.decode(latents)

    def preview(self, latents: Tensor) -> Tensor:
        self._calls.preview.append(latents)
        return self._model.preview(latents)


class ListeningReward:
    """The same for a reward."""

    def __init__(self, reward: Reward, calls: Calls):
        self.name, self._reward, self._calls = reward.name, reward, calls

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        self._calls.reward.append((self.name, images, list(prompts)))
        return self._reward(images, prompts)


def search_overhead() -> dict[str, Any]:
    """A default search through the worker, from claim to last committed row with pictures encoded, over its bare calls.

    The bare calls are the same velocities, decodes (those of guesses along the way too) and rewards on the same inputs,
    each in the micro-batches that are fastest for it here. They are timed in turns; the ratio is the median over pairs.
    Target: at most 1.10.
    """
    config = ExploreConfig(PROMPT, arms=())
    torch.set_num_threads(config.threads)
    model = load_model(config.model)
    rewards = {name: load_reward(name) for name in config.rewards}
    calls = Calls()
    with temporary_lab() as lab:
        listening = {name: ListeningReward(reward, calls) for name, reward in rewards.items()}
        _through_worker(lab, config, _toolbox(Listening(model, calls), listening))
        sizes = _fastest(model, rewards, calls)
        toolbox = _toolbox(model, rewards)
        whole, bare = [], []
        for _ in range(ROUNDS):
            whole.append(_through_worker(lab, config, toolbox))
            bare.append(timed(lambda: [work() for work in _bare(model, rewards, calls, sizes)]))
    found: dict[str, Any] = {f"fastest_{kind}_batch": size for kind, size in sizes.items()}
    for clock, name in (("wall", ""), ("cpu", "cpu_")):
        searches, alone = ([getattr(one, clock) for one in each] for each in (whole, bare))
        found |= {f"search_{name}seconds": statistics.median(searches), f"bare_{name}seconds": statistics.median(alone)}
        found[f"{name}ratio"] = statistics.median(a / b for a, b in zip(searches, alone, strict=True))
    return found | {"target_ratio": 1.10}


def _toolbox(model: Any, rewards: dict[str, Any]) -> Toolbox:
    real = torch_toolbox("cpu")
    return Toolbox(**(vars(real) | {"load_model": lambda _id: model, "load_reward": lambda name: rewards[name]}))


def _through_worker(lab: Lab, config: ExploreConfig, toolbox: Toolbox) -> Spent:
    """What one session took, from the worker's looking for work to its last row."""
    with lab.database.write() as tx:
        record_id = sessions.create(tx, config)
        jobs.enqueue(tx, kind="explore", record_id=record_id)
    worker = Worker(lab.database, lab.artifacts, toolbox)
    worker.resident.model(config.model)
    spent = timed(worker.run_one)
    state = (lab.session_view(record_id) or {})["state"]
    if state != "succeeded":
        raise RuntimeError(f"expected the session to succeed, got {state}")
    return spent


def _bare(
    model: FlowModel, rewards: dict[str, Reward], calls: Calls, sizes: dict[str, int]
) -> list[Callable[[], object]]:
    """The noted calls in their order of kind, split into micro-batches of at most these sizes."""

    @torch.no_grad()
    def velocities() -> None:
        for latents, sigma, conditioning in calls.velocity:
            for part in latents.split(sizes["velocity"]):
                model.velocity(part, sigma, conditioning)

    @torch.no_grad()
    def decodes() -> None:
        for latents in calls.decode:
            for part in latents.split(sizes["decode"]):
                model.decode(part)
        for latents in calls.preview:
            model.preview(latents)

    def scores() -> None:
        for name, images, prompts in calls.reward:
            for part in images.split(sizes["reward"]):
                score(rewards[name], part, prompts[: len(part)])

    return [velocities, decodes, scores]


def _fastest(model: FlowModel, rewards: dict[str, Reward], calls: Calls) -> dict[str, int]:
    """For each kind of call the size of micro-batch, at most the call's own, with which it takes least time."""
    few = Calls(
        sorted(calls.velocity, key=lambda call: -len(call[0]))[:FEW],
        sorted(calls.decode, key=lambda latents: -len(latents))[:FEW],
        [],
        sorted(calls.reward, key=lambda call: -len(call[1]))[:FEW],
    )
    widest = len(few.decode[0])
    best: dict[str, int] = {}
    for index, kind in enumerate(("velocity", "decode", "reward")):
        spent = {}
        for size in (one for one in SIZES if one <= widest):
            work = _bare(model, rewards, few, dict.fromkeys(("velocity", "decode", "reward"), size))[index]
            spent[size] = min(timed(work).cpu for _ in range(3))
        best[kind] = min(spent, key=lambda size: spent[size])
    return best


def batching() -> dict[str, Any]:
    """Candidates a second, guessed, decoded and scored: in one batch of 25, and one by one."""
    rates = {}
    model = load_model("shapes-sd3")
    for name, size in (("batched", 25), ("one_by_one", 1)):
        config = ExploreConfig(PROMPT, batch_size=size)
        torch.set_num_threads(config.threads)
        evaluator = Evaluator(config, model, {one: load_reward(one) for one in config.rewards})
        sigmas = model.sigmas(config.num_steps)[5:]
        latents = noise.candidates(tuple(model.latent_shape), 25, 0, "benchmark")

        def scored(evaluator: Evaluator = evaluator, latents: Tensor = latents, sigmas: Any = sigmas) -> None:
            evaluator.scores(evaluator.estimate(latents, sigmas, None), None)

        scored()
        rates[name] = 25 / min(timed(scored).wall for _ in range(ROUNDS))
    return {f"{name}_per_second": rate for name, rate in rates.items()} | {
        "times_faster": rates["batched"] / rates["one_by_one"]
    }


def session() -> dict[str, Any]:
    """A default search with all arms through a warm worker: from the click to the first candidates and to the end."""
    with temporary_lab() as lab:
        worker = Worker(lab.database, lab.artifacts, torch_toolbox())
        ready = timed(worker.resident.warm_up).wall
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            record_id = lab.start_session({"prompt": PROMPT})
            first = _waited(lab, record_id, lambda view: view["iterations"])
            rest = _waited(lab, record_id, lambda view: view["state"] in ("succeeded", "failed"))
        finally:
            stop.set()
            thread.join()
    return {"model_ready_seconds": ready, "first_candidates_seconds": first, "session_seconds": first + rest}


def _waited(lab: Lab, record_id: str, until: Callable[[dict[str, Any]], object]) -> float:
    """Seconds until a session's view fulfils `until`, asked for as a page does: 20 times a second."""
    began = time.perf_counter()
    while not until(lab.session_view(record_id) or {}):
        time.sleep(0.05)
    return time.perf_counter() - began
