"""A session's view as a page gets it, made by hand: for tests of what is said and drawn from it."""

from typing import Any

from core.config import ExploreConfig, to_dict

REWARDS = {"shapes-clip": 1.0, "shapes-verifier": 0.0}


def iteration(step: int, index: int, total: list[float | None], elites: list[int], **more: Any) -> dict[str, Any]:
    """One scored iteration; its diagnostics are those of a search that collapses as theory says."""
    finite = [value for value in total if value is not None]
    shrink = 0.5**index
    row = {
        "step": step,
        "iteration": index,
        "total": total,
        "rewards": {"shapes-clip": total, "shapes-verifier": [None if one is None else 1 - one for one in total]},
        "elites": elites,
        "num_candidates": len(total),
        "finite": len(finite),
        "mean": sum(finite) / len(finite) if finite else None,
        "norms": [1.0 + 0.01 * i for i in range(len(total))],
        "kurtosis": [3.0 + index for _ in total],
        "mean_norm": (1 - shrink) ** 0.5,
        "std_quantiles": [0.1 * shrink, 0.4 * shrink, 0.6 * shrink, 0.8 * shrink, shrink],
        "cosine": 1 - shrink,
    }
    spent = 10 * (step * 5 + index + 1)
    return row | {"nfe": 2 * spent, "decodes": spent, "reward_calls": 2 * spent, "seconds": spent / 10} | more


def taken(step: int, reward: float | None, **more: Any) -> dict[str, Any]:
    """One step that was taken."""
    rewards = {"shapes-clip": reward, "shapes-verifier": 0.5}
    spent = 10 * (step * 5 + 6)
    cost = {"nfe": 2 * spent, "decodes": spent, "reward_calls": 2 * spent, "seconds": spent / 10}
    return {"step": step, "rewards": rewards, "noise_norm": 0.98} | cost | more


def arm(name: str, reward: float | None, trail: list[float | None] | None = None) -> dict[str, Any]:
    return {"arm": name, "rewards": {"shapes-clip": reward, "shapes-verifier": 0.2}, "trail": trail or []}


def view(**more: Any) -> dict[str, Any]:
    """Four steps, the second of them searched: three iterations of five candidates, whose second best is lost once."""
    config = to_dict(ExploreConfig("a photo of a blue star", num_steps=4, rewards=REWARDS))
    config["search"] |= {"num_iterations": 3}
    rows = [
        iteration(1, 0, [0.1, 0.2, 0.3, 0.4, 0.5], [3, 4]),
        iteration(1, 1, [0.3, None, 0.4, 0.5, 0.6], [3, 4]),
        iteration(1, 2, [0.5, 0.6, 0.7, 0.4, 0.8], [2, 4]),
    ]
    return {
        "id": "abc",
        "config": config,
        "sigmas": [1.0, 0.8, 0.5, 0.2, 0.0],
        "searched": [False, True, False, False],
        "step_std": [0.7, 0.5, 0.3, 0.1],
        "excess_std": [0.3, 0.2, 0.1, 0.0],
        "iterations": rows,
        "steps": [taken(0, 0.1), taken(1, 0.7), taken(2, 0.75), taken(3, 0.8)],
        "arms": [
            arm("search", 0.8, [0.1, 0.7, 0.75, 0.8]),
            arm("no_search", 0.5, [0.1, 0.3, None, 0.5]),
            arm("ode", 0.9, [0.2, 0.6, 0.8, 0.9]),
            arm("best_of_seed", 0.85),
        ],
    } | more
