"""Fine-tunes as a worker would leave them: events with figures like those of a real run, recorded by the real recorder.

The pictures are drawn scenes that clear up as the run goes on, and the weights are a few bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from app.training import TrainRecorder
from core.events import Cost, SessionFinished, SessionStarted
from core.schedule import shifted
from core.shapes import scenes
from core.train_config import TrainConfig
from core.train_events import (
    CheckpointMade,
    Diagnosed,
    EpochFinished,
    SamplesDrawn,
    SearchWatched,
    TrainFinished,
    TrainStarted,
)
from storage import jobs, runs
from tests.e2e.kept import Kept

SAMPLED = (
    "a photo of a red circle left of a blue star",
    "a photo of two green triangles",
    "a photo of a yellow star above a purple square",
    "a photo of a black square and a red star",
    "a photo of three blue circles",
    "a photo of a green square",
    "a photo of a purple triangle right of a yellow circle",
    "a photo of four red squares",
)
NFE = 576
EQUAL = "62% of groups have equal rewards, nothing to learn from: raise the noise or draw more pictures a prompt."


class FakeRuns:
    """Runs in a kept lab, trained on by hand."""

    def __init__(self, kept: Kept):
        """Nothing runs yet."""
        self.kept = kept
        self.recorders: dict[str, TrainRecorder] = {}

    def queued(self, *, name: str | None = None, **changes: Any) -> str:
        """A fine-tune that waits."""
        usual = {"epochs": 40, "eval_every": 5, "sample_every": 10, "checkpoint_every": 10, "noise_source": "search"}
        usual |= {"num_steps": 10, "sde_window": 2, "rewards": {"shapes-verifier": 1.0, "shapes-clip": 0.0}}
        config = replace(TrainConfig(), **usual | changes)
        with self.kept.lab.database.write() as tx:
            record_id = runs.create(tx, config, name=name)
            jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")
        return record_id

    def begin(self, record_id: str) -> None:
        """Claim it as the next in its lane, and say what is trained."""
        lab = self.kept.lab
        with lab.database.write() as tx:
            claim = jobs.claim(tx, lane="batch", owner="trainer-of-the-test", lease_seconds=3600)
        assert claim and claim.record_id == record_id
        self.kept.claims[record_id] = claim
        tools: Any = SimpleNamespace(device="cpu", save_state=_save)
        recorder = TrainRecorder(lab.database, lab.artifacts, lab.checkpoints, record_id, tools, claim)
        self.recorders[record_id] = recorder
        config = recorder.config
        prompts = config.prompts or ("a photo of a red star",)
        recorder.record(
            TrainStarted(shifted(config.num_steps), 2_000_000, 98_304, 3.2e-4, 6_144, prompts, *[SAMPLED] * 2, NFE, 0.1)
        )

    def train(self, record_id: str, first: int, last: int, *, diagnosis: Sequence[str] = ()) -> None:
        """Record epochs `first` to `last`, with what is due in each."""
        recorder = self.recorders[record_id]
        config = recorder.config
        for epoch in range(first, last + 1):
            due = {name: _due(epoch, getattr(config, f"{name}_every"), config.epochs) for name in ("eval", "sample")}
            recorder.record(epoch_of(config, epoch, due["eval"]))
            if due["sample"]:
                self.sample(record_id, epoch)
            if config.watch_every and epoch and epoch % config.watch_every == 0:
                recorder.record(_watched(config, epoch))
            if epoch == last and diagnosis:
                recorder.record(Diagnosed(epoch, tuple(diagnosis)))
            if epoch and _due(epoch, config.checkpoint_every, config.epochs):
                self.save(record_id, epoch)

    def sample(self, record_id: str, epoch: int) -> None:
        """Draw the sheet of an epoch."""
        recorder = self.recorders[record_id]
        learned = min(1.0, epoch / recorder.config.epochs)
        images = np.stack([_picture(prompt, place, learned) for place, prompt in enumerate(SAMPLED)])
        rewards = tuple(round(0.3 + 0.1 * (place % 4) + 0.4 * learned, 3) for place in range(len(SAMPLED)))
        recorder.record(SamplesDrawn(epoch, images, rewards, recorder.config.ema))

    def save(self, record_id: str, epoch: int) -> None:
        """Make a checkpoint."""
        self.recorders[record_id].record(CheckpointMade(epoch, {"epoch": epoch}))

    def finish(self, record_id: str) -> None:
        """End it well."""
        recorder = self.recorders[record_id]
        epochs = recorder.config.epochs
        recorder.record(TrainFinished(epochs, _cost(epochs)))
        self.kept.claims.pop(record_id)

    def finished(self, **changes: Any) -> str:
        """One that went through to its end."""
        record_id = self.queued(**changes)
        self.begin(record_id)
        self.train(record_id, 0, self.recorders[record_id].config.epochs, diagnosis=(EQUAL, "The verifier rises too."))
        self.finish(record_id)
        return record_id


def epoch_of(config: TrainConfig, epoch: int, judged: bool) -> EpochFinished:
    """Figures such as a run has that learns something."""
    rng = np.random.default_rng(epoch)
    learned = 1 - math.exp(-epoch / 14)
    metrics: dict[str, float] = {"peak_memory_mb": 1_420.0 + 2 * epoch}
    if epoch:
        mean = 0.52 + 0.14 * learned + rng.normal(0, 0.015)
        metrics |= {"reward_mean": mean, "reward_std": 0.21, "reward_min": 0.0, "reward_max": 1.0, "nfe": float(NFE)}
        metrics |= {f"reward/{name}": mean + 0.1 * place for place, name in enumerate(config.rewards)}
        metrics |= {"group_std": 0.16 - 0.04 * learned, "zero_std_share": 0.2 + 0.3 * learned, "noise_norm": 0.98}
        metrics |= {"group_std_searched": 0.14, "group_std_unsearched": 0.18, "grad_cosine_searched": 0.4 * learned}
        metrics |= {"approx_kl": 2e-6 * (1 + rng.random()), "kl_ref": 4e-3 * learned, "grad_norm": 0.4 + rng.random()}
        metrics |= {"clip_fraction": 0.12, "diversity": 0.3 - 0.05 * learned, "loss": -0.01}
    if judged:
        for tail, lag in (("", 1.0), ("_ema", 0.93)):
            metrics |= {f"heldout{tail}": 0.585 + 0.11 * learned * lag, f"verifier{tail}": 0.44 + 0.13 * learned * lag}
            metrics |= {f"heldout{tail}/{name}": 0.6 + 0.08 * learned * lag for name in config.rewards}
            metrics |= {f"kid{tail}": 0.05 - 0.01 * learned}
    steps = config.num_steps
    places = {2 + epoch % 4, 3 + epoch % 4}
    per_step = {
        "clip_fraction": tuple(0.05 + 0.15 * rng.random() if step in places else None for step in range(steps)),
        "ratio_mean": tuple(1 + rng.normal(0, 1e-4) if step in places else None for step in range(steps)),
    }
    seconds = {"rollout": 1.1, "search": 4.0, "reward": 0.3, "update": 1.4, "other": 0.1}
    seconds |= {"evaluate": 3.0} if judged else {}
    seconds["total"] = sum(seconds.values())
    return EpochFinished(epoch, metrics, per_step if epoch else {}, _cost(epoch), seconds)


def _cost(epoch: int) -> Cost:
    return Cost(NFE * epoch, 48 * epoch, 48 * epoch, 6.9 * epoch)


def _due(epoch: int, every: int, epochs: int) -> bool:
    return epoch in (0, epochs) or bool(every) and epoch % every == 0


def _picture(prompt: str, seed: int, learned: float) -> np.ndarray:
    """The prompt's scene, the cloudier the less is learned."""
    caption = scenes.parse_caption(prompt)
    assert caption is not None
    rng = np.random.default_rng(seed)
    clear = scenes.draw(scenes.sample_scene(rng, caption)).astype(float)
    clouds = np.kron(rng.normal(150, 50, (8, 8, 3)), np.ones((8, 8, 1)))
    mixed: np.ndarray = (clear * (0.35 + 0.65 * learned) + clouds * 0.65 * (1 - learned)).clip(0, 255).astype(np.uint8)
    return mixed


def _watched(config: TrainConfig, epoch: int) -> SearchWatched:
    """A session without a step: enough to lead to it."""
    session = config.of_member(SAMPLED[0], epoch)
    noise = np.zeros((1, 4, 2, 2), np.float32)
    flat = (0.5,) * session.num_steps
    started = SessionStarted(shifted(session.num_steps), (False,) * session.num_steps, flat, flat, (4, 2, 2), noise)
    return SearchWatched(epoch, SAMPLED[0], epoch, session, (started, SessionFinished(Cost(100, 25, 25, 1.0))))


def _save(state: Any, folder: Path) -> None:
    (folder / "ema").mkdir()
    for name in ("pytorch_lora_weights.safetensors", "ema/pytorch_lora_weights.safetensors", "trainer.json"):
        (folder / name).write_bytes(f"{name} {state['epoch']}".encode() * 900)


def trial_result(config: TrainConfig) -> dict[str, Any]:
    """What an evaluation with a search leaves."""
    names = [*config.rewards, "total"]

    def told(mean: float) -> dict[str, Any]:
        return {name: {"mean": mean, "low": mean - 0.04, "high": mean + 0.04, "count": 24} for name in names}

    def gain(model: str, arm: str, other: str, against: str, mean: float) -> dict[str, Any]:
        return {"model": model, "arm": arm, "against": {"model": other, "arm": against}, "rewards": told(mean)}

    arms = [
        {"model": model, "arm": arm, "nfe": 260.0 if arm == "search" else 10.0, "rewards": told(value + plus)}
        for model, plus in (("base", 0.0), ("trained", 0.08))
        for arm, value in (("ode", 0.6), ("no_search", 0.55), ("search", 0.66))
    ]
    gains = [gain("trained", arm, "base", arm, 0.08) for arm in ("ode", "no_search", "search")]
    gains += [gain(model, "search", model, "no_search", 0.02) for model in ("base", "trained")]
    return {"arms": arms, "gains": gains, "prompts": 24}
