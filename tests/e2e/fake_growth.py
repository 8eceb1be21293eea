"""How a session of the fake lab grows: made-up pictures and rewards, in the engine's order."""

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from core.plan import iteration_notes

if TYPE_CHECKING:
    from tests.e2e.fake_lab import FakeLab, Session

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


def _rewards(session: "Session", quality: float, rng: np.random.Generator) -> dict[str, float]:
    made = {
        "shapes-clip": 0.62 + 0.3 * quality + 0.03 * float(rng.normal()),
        "shapes-verifier": min(1.0, max(0.0, 0.2 + 0.7 * quality + 0.1 * float(rng.normal()))),
        "jpeg-compressibility": -1.4 + 0.2 * float(rng.normal()),
    }
    return {name: made.get(name, 0.0) for name in session.config.rewards}


def events(lab: "FakeLab", session: "Session") -> Iterator[Callable[[], None]]:
    """Changes to the view, in the engine's order."""
    config, view = session.config, session.view
    count = config.num_steps
    at = np.interp(np.linspace(0, 10, count + 1), np.arange(11), SIGMAS).tolist()
    searched = [config.window_min <= s <= config.window_max and config.search.num_iterations > 0 for s in at[:-1]]
    spread = np.interp(np.linspace(0, 9, count), np.arange(10), STEP_STD).tolist()
    excess = np.interp(np.linspace(0, 9, count), np.arange(10), EXCESS).tolist()
    yield lambda: view.update(sigmas=at, searched=searched, step_std=spread, excess_std=excess)
    quality = 0.0
    if config.search_initial:
        for iteration in range(config.search.num_iterations):
            yield _iteration(lab, session, -1, iteration, quality)
            quality += 0.024
        yield _step(lab, session, -1, quality)
    for step in range(count):
        if searched[step]:
            for iteration in range(config.search.num_iterations):
                yield _iteration(lab, session, step, iteration, quality)
                quality += 0.024
        yield _step(lab, session, step, quality)
        quality += 0.01
    for arm in ("search", *config.arms):
        yield _arm(lab, session, arm, quality)


def _iteration(lab: "FakeLab", session: "Session", step: int, iteration: int, quality: float) -> Callable[[], None]:
    config, view = session.config, session.view
    k, t = config.search.num_candidates, config.search.num_elites
    rng = np.random.default_rng([config.seed, step + 1, iteration])
    noise = float(view["sigmas"][max(step, 0)])
    first = 97 * (step + 1) + 31 * iteration
    drawn = [lab.keep_picture(config.prompt, first + i, noise, noise) for i in range(min(k, 32))]
    images = [drawn[i % 32] for i in range(k)]
    scored = [_rewards(session, quality, rng) for _ in range(k)]
    rewards: dict[str, list[float | None]] = {name: [one[name] for one in scored] for name in config.rewards}
    total: list[float | None] = [sum(w * one[n] for n, w in config.rewards.items()) for one in scored]
    for i in range(k):
        if (step, iteration, i) in lab.broken:
            total[i] = None
            for values in rewards.values():
                values[i] = None
    order = sorted((i for i in range(k) if total[i] is not None), key=lambda i: (-(total[i] or 0), i))
    finite = [one for one in total if one is not None]
    shrink = 0.4**iteration
    row = {
        "step": step,
        "iteration": iteration,
        "images": images,
        "rewards": rewards,
        "total": total,
        "elites": sorted(order[:t]),
        "num_candidates": k,
        "finite": len(finite),
        "best": max(finite, default=None),
        "mean": sum(finite) / len(finite) if finite else None,
        "threshold": total[order[t - 1]] if len(order) >= t else None,
        "sentence": f"Iteration {iteration + 1}: candidates {100 - round(100 * shrink)}% alike, spread {shrink:.2f}.",
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
        session.touch("iterations", (step, iteration))
        _spend(view, 2 * k, k)
        view["iterations"].append(row | view["cost"])

    return change


def _step(lab: "FakeLab", session: "Session", step: int, quality: float) -> Callable[[], None]:
    config, view = session.config, session.view
    sigma = float(view["sigmas"][step + 1])
    row = {
        "step": step,
        "image": lab.keep_picture(config.prompt, step + 1, sigma, sigma),
        "rewards": _rewards(session, quality, np.random.default_rng([config.seed, step + 1])),
        "noise_norm": 0.984,
        "log_prob": -0.9,
    }

    def change() -> None:
        session.touch("steps", step)
        _spend(view, 2, 1)
        view["steps"].append(row | view["cost"])

    return change


def _arm(lab: "FakeLab", session: "Session", arm: str, quality: float) -> Callable[[], None]:
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
        session.touch("arms", arm)
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


def finish(lab: "FakeLab", session: "Session", step: int, iteration: int, candidates: list[int]) -> None:
    """Finish candidates one by one: the true reward is a little below what the guess promised."""
    config, view = session.config, session.view
    row = next(row for row in view["iterations"] if (row["step"], row["iteration"]) == (step, iteration))
    for candidate in candidates:
        time.sleep(lab.finish_seconds)
        rng = np.random.default_rng([config.seed, step + 1, iteration, candidate])
        fallen = 0.17 + 0.05 * float(rng.normal())
        rewards = {
            name: None if row["rewards"][name][candidate] is None else row["rewards"][name][candidate] - fallen
            for name in config.rewards
        }
        total = row["total"][candidate]
        done = {"step": step, "iteration": iteration, "candidate": candidate, "rewards": rewards}
        done |= {"image": lab.keep_picture(config.prompt, 7 * candidate, 0.0, 1.0), "nfe": 8, "seconds": 0.3}
        done |= {"total": None if total is None else total - fallen}
        with session.changed:
            session.touch("finishes", (step, iteration, candidate))
            view["finishes"].append(done)
            left = [one for one in view["finishing"] if (one["step"], one["iteration"]) != (step, iteration)]
            rest = candidates[candidates.index(candidate) + 1 :]
            more = [{"step": step, "iteration": iteration, "candidates": rest}] if rest else []
            lab._mark(session, finishing=left + more)
