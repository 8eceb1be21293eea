"""A lab that lives in memory: the methods the pages call, over sessions that grow by themselves.

The pictures are drawn scenes under noise and the rewards are made up, so a page can be driven through a whole search in
a second without a model. It keeps the states and refusals of the real one.
"""

import io
import math
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import config as settings
from core.errors import StorageError
from core.plan import iteration_notes
from core.shapes import scenes
from storage.artifacts import Artifacts

SIGMAS = (1.0, 0.960, 0.913, 0.858, 0.790, 0.707, 0.602, 0.465, 0.278, 0.009, 0.0)
STEP_STD = (0.70, 0.74, 0.54, 0.45, 0.39, 0.35, 0.32, 0.28, 0.225, 0.006)
EXCESS = (0.28, 0.33, 0.21, 0.17, 0.16, 0.16, 0.17, 0.20, 0.24, 0.007)
ARM_GAIN = {
    "search": 0.15,
    "no_search": 0.0,
    "ode": 0.05,
    "random_elites": -0.02,
    "best_of_sde": 0.12,
    "best_of_seed": 0.17,
}
REWARDS = {
    "shapes-clip": ("Shapes CLIP", "A small learned judge of picture and prompt. It can be fooled."),
    "shapes-verifier": ("Verifier", "Finds the shapes and checks them against the prompt, with partial credit."),
    "jpeg-compressibility": ("JPEG size", "Minus the picture's size as a JPEG, in kB."),
}

RECORDED = settings.ExploreConfig("a photo of a red circle left of a blue star")


@dataclass
class Session:
    """One growing session: its view, and what was asked of it."""

    view: dict[str, Any]
    config: settings.ExploreConfig
    mode: str = "run"
    one_more: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)


class FakeLab:
    """`delay` seconds pass between two events; candidates named in `broken` (step, iteration, k) have no reward."""

    def __init__(
        self,
        folder: Path,
        *,
        delay: float = 0.02,
        broken: frozenset[tuple[int, int, int]] = frozenset(),
        recorded: settings.ExploreConfig | None = RECORDED,
    ):
        self.artifacts = Artifacts(folder)
        self.delay = delay
        self.broken = broken
        self.sessions: dict[str, Session] = {}
        self.commands: list[tuple[str, str]] = []
        if recorded:
            self.recorded = self._add(recorded)
            self._run(self.recorded, pace=0.0)
        else:
            self.recorded = None

    # What pages call

    def start_session(self, config: dict[str, Any]) -> str:
        """Validate and begin."""
        record_id = self._add(settings.from_dict(config))
        threading.Thread(target=self._run, args=(record_id, self.delay), daemon=True).start()
        return record_id

    def command(
        self,
        record_id: str,
        kind: str,
        payload: dict[str, Any] | None = None,
        expected_step: int | None = None,
        expected_iteration: int | None = None,
    ) -> None:
        """Pause, step, continue, cancel."""
        session = self._session(record_id)
        self.commands.append((record_id, kind))
        with session.changed:
            if session.view["job"]["status"] in ("succeeded", "cancelled", "failed"):
                raise StorageError("this session has already ended")
            session.mode = {"pause": "pausing", "step": "stepping", "continue": "run", "cancel": "cancel"}[kind]
            self._mark(session, job={"mode": session.mode if session.mode != "cancel" else "run"})
            session.changed.notify_all()

    def session_view(self, record_id: str, after_seq: int | None = None) -> dict[str, Any] | None:
        """The view, or None when nothing came after `after_seq`."""
        session = self._session(record_id)
        with session.changed:
            if after_seq is not None and session.view["seq"] <= after_seq:
                return None
            return _copy(session.view)

    def recent(self, limit: int = 20) -> list[dict[str, Any]]:
        """Newest first."""
        keys = ("id", "name", "kind", "prompt", "preset", "model", "state", "created")
        return [{k: s.view[k] for k in keys} for s in list(self.sessions.values())[::-1][:limit]]

    def default_record(self) -> str | None:
        """What a first visit sees."""
        return self.recorded

    def artifact_path(self, name: str) -> Path:
        """Where a picture lies."""
        return self.artifacts.path(name)

    def options(self) -> dict[str, list[dict[str, Any]]]:
        """What the form offers."""

        def option(name: str, title: str, text: str, why_not: str = "") -> dict[str, Any]:
            return {"name": name, "title": title, "help": text, "usable": not why_not, "why_not": why_not}

        return {
            "models": [
                option("shapes-sd3", "Shapes SD3", "The model that came with the lab: coloured shapes, 64 x 64."),
                option(
                    "sd3.5-medium",
                    "Stable Diffusion 3.5 Medium",
                    "The paper's model.",
                    "its weights are not on this machine",
                ),
            ],
            "rewards": [option(name, *text) for name, text in REWARDS.items()],
            "presets": [option(name, name, settings.PRESET_HELP[name]) for name in settings.PRESETS],
        }

    def cost_estimate(self, config: dict[str, Any]) -> dict[str, Any]:
        """What a run would spend."""
        c = settings.from_dict(config)
        searched = sum(c.window_min <= s <= c.window_max for s in SIGMAS[:-1])
        return {"nfe": 2 * c.num_steps + 2 * searched * c.search.num_candidates * c.search.num_iterations}

    # How a session grows

    def _session(self, record_id: str) -> Session:
        if record_id not in self.sessions:
            raise StorageError(f"there is no session {record_id!r}")
        return self.sessions[record_id]

    def _add(self, config: settings.ExploreConfig) -> str:
        record_id = f"s{len(self.sessions) + 1:05d}"
        view = {
            "id": record_id,
            "name": None,
            "kind": "explore",
            "prompt": config.prompt,
            "preset": config.search.preset,
            "model": config.model,
            "state": "pending",
            "error": None,
            "caution": None,
            "created": datetime.now(UTC).isoformat(),
            "config": settings.to_dict(config),
            "sigmas": [],
            "searched": [],
            "step_std": [],
            "excess_std": [],
            "steps": [],
            "iterations": [],
            "arms": [],
            "cost": {"nfe": 0, "decodes": 0, "reward_calls": 0, "seconds": 0.0},
            "job": {"id": 1, "status": "pending", "attempt": 1, "error": None, "queue_position": 1, "mode": "run"},
            "seq": 1,
        }
        self.sessions[record_id] = Session(view, config)
        return record_id

    def _mark(self, session: Session, job: dict[str, Any] | None = None, **values: Any) -> None:
        session.view["job"] |= job or {}
        session.view.update(values)
        session.view["seq"] += 1

    def _run(self, record_id: str, pace: float) -> None:
        session = self.sessions[record_id]
        time.sleep(pace)
        for change in _events(self, session):
            with session.changed:
                change()
                self._mark(session, {"status": "running"}, state="running")
                stepped = session.mode == "stepping"
                if session.mode in ("pausing", "stepping"):
                    session.mode = "paused"
                    self._mark(session, {"status": "paused", "mode": "paused"}, state="paused")
                session.changed.wait_for(lambda: session.mode != "paused")
                if session.mode == "cancel":
                    self._mark(session, {"status": "cancelled"}, state="cancelled")
                    return
                if not stepped:
                    self._mark(session, {"status": "running"}, state="running")
            time.sleep(pace)
        with session.changed:
            self._mark(session, {"status": "succeeded"}, state="succeeded")

    def keep_picture(self, prompt: str, seed: int, noise: float, jitter: float) -> str:
        """Draw the prompt's scene (any scene for other sentences) under noise and keep it; returns its name."""
        rng = np.random.default_rng(seed)
        caption = scenes.parse_caption(prompt) or scenes.sample_caption(np.random.default_rng(len(prompt)), "position")
        scene = scenes.sample_scene(np.random.default_rng(seed if jitter > 0.5 else 5), caption)
        picture = scenes.draw(scene).astype(float)
        cloudy = np.kron(rng.normal(0, 90, (8, 8, 3)), np.ones((8, 8, 1))) * noise
        picture = picture * (1 - noise * 0.6) + 150 * noise * 0.6 + cloudy + rng.normal(0, 60, picture.shape) * noise
        buffer = io.BytesIO()
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "webp", quality=80)
        return self.artifacts.put(buffer.getvalue(), "webp")


def _copy(view: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, list) else dict(v) if isinstance(v, dict) else v for k, v in view.items()}


def _rewards(session: Session, quality: float, rng: np.random.Generator) -> dict[str, float]:
    made = {
        "shapes-clip": 0.62 + 0.3 * quality + 0.03 * float(rng.normal()),
        "shapes-verifier": min(1.0, max(0.0, 0.2 + 0.7 * quality + 0.1 * float(rng.normal()))),
        "jpeg-compressibility": -1.4 + 0.2 * float(rng.normal()),
    }
    return {name: made.get(name, 0.0) for name in session.config.rewards}


def _events(lab: FakeLab, session: Session):
    """Changes to the view, in the engine's order."""
    config, view = session.config, session.view
    count = config.num_steps
    at = np.interp(np.linspace(0, 10, count + 1), np.arange(11), SIGMAS).tolist()
    searched = [config.window_min <= s <= config.window_max and config.search.num_iterations > 0 for s in at[:-1]]
    spread = np.interp(np.linspace(0, 9, count), np.arange(10), STEP_STD).tolist()
    excess = np.interp(np.linspace(0, 9, count), np.arange(10), EXCESS).tolist()
    yield lambda: view.update(sigmas=at, searched=searched, step_std=spread, excess_std=excess)
    quality = 0.0
    for step in range(count):
        if searched[step]:
            for iteration in range(config.search.num_iterations):
                yield _iteration(lab, session, step, iteration, quality)
                quality += 0.024
        yield _step(lab, session, step, quality)
        quality += 0.01
    for arm in ("search", *config.arms):
        yield _arm(lab, session, arm, quality)


def _iteration(lab: FakeLab, session: Session, step: int, iteration: int, quality: float):
    config, view = session.config, session.view
    k, t = config.search.num_candidates, config.search.num_elites
    rng = np.random.default_rng([config.seed, step, iteration])
    noise = float(view["sigmas"][step])
    images = [lab.keep_picture(config.prompt, 97 * step + 31 * iteration + i, noise, noise) for i in range(k)]
    scored = [_rewards(session, quality, rng) for _ in range(k)]
    rewards: dict[str, list[float | None]] = {name: [one[name] for one in scored] for name in config.rewards}
    total: list[float | None] = [sum(w * one[n] for n, w in config.rewards.items()) for one in scored]
    for i in range(k):
        if (step, iteration, i) in lab.broken:
            total[i] = None
            for values in rewards.values():
                values[i] = None
    order = sorted((i for i in range(k) if total[i] is not None), key=lambda i: (-(total[i] or 0), i))
    shrink = 0.4**iteration
    row = {
        "step": step,
        "iteration": iteration,
        "sheet": images[0],
        "images": images,
        "rewards": rewards,
        "total": total,
        "elites": sorted(order[:t]),
        "norms": [float(1 - 0.02 * rng.random()) for _ in range(k)],
        "kurtosis": [3 + iteration * 0.8 + float(rng.normal()) * 0.1 for _ in range(k)],
        "mean_norm": math.sqrt(1 - 1.25 * shrink) if iteration else 0.0,
        "std_quantiles": [0.1 * shrink, 0.3 * shrink, 1.0 * shrink, 0.6 * shrink, 0.9 * shrink],
        "cosine": 1 - shrink,
        "over_noise": 1.1,
        "notes": iteration_notes(total, t, last=iteration == config.search.num_iterations - 1),
        "batch_size": 32,
    }

    def change() -> None:
        view["iterations"].append(row)
        _spend(view, 2 * k, k)

    return change


def _step(lab: FakeLab, session: Session, step: int, quality: float):
    config, view = session.config, session.view
    sigma = float(view["sigmas"][step + 1])
    row = {
        "step": step,
        "image": lab.keep_picture(config.prompt, step, sigma, sigma),
        "rewards": _rewards(session, quality, np.random.default_rng([config.seed, step])),
        "noise_norm": 0.984,
        "log_prob": -0.9,
    }

    def change() -> None:
        view["steps"].append(row)
        _spend(view, 2, 1)

    return change


def _arm(lab: FakeLab, session: Session, arm: str, quality: float):
    config, view = session.config, session.view
    many = arm.startswith("best_of")
    row = {
        "arm": arm,
        "image": lab.keep_picture(config.prompt, len(arm), 0.0, 1.0),
        "rewards": _rewards(session, quality - 0.15 + ARM_GAIN[arm], np.random.default_rng([config.seed, len(arm)])),
        "trajectories": 13 if many else 1,
        "trail": []
        if many
        else [0.62 + 0.3 * (quality + ARM_GAIN[arm]) * s / config.num_steps for s in range(config.num_steps)],
        "nfe": 270 if many or arm == "search" else 20,
        "decodes": 135 if arm == "search" else 13 if many else 1,
        "reward_calls": 135 if arm == "search" else 13 if many else 1,
        "seconds": 4.2 if many or arm == "search" else 0.4,
    }

    def change() -> None:
        view["arms"].append(row)
        if arm != "search":
            _spend(view, row["nfe"], row["decodes"])

    return change


def _spend(view: dict[str, Any], nfe: int, decodes: int) -> None:
    cost = view["cost"]
    view["cost"] = {
        "nfe": cost["nfe"] + nfe,
        "decodes": cost["decodes"] + decodes,
        "reward_calls": cost["reward_calls"] + decodes,
        "seconds": cost["seconds"] + 0.11,
    }
