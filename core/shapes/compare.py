"""Does the search help? `python -m core.shapes.compare [--json]`: searches and their controls, paired.

30 held-out captions times 4 seeds. Every arm starts from the same x_1 (but best_of_seed), climbs the learned reward,
and is judged by it and by the exact verifier, which no arm sees. Gains are over `--against` (no_search), paired by
prompt and seed; intervals are bootstrapped over prompts.
"""

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from core.config import PRESETS, ExploreConfig
from core.events import ArmFinished
from core.shapes.scenes import TASKS, Caption, evaluation_captions
from core.shapes.verifier import verify

LEARNED = "shapes-clip"
ARMS = ("smart-grpo", "smart-grpo-sde", "random_elites", "best_of_sde", "best_of_seed", "no_search", "ode")
MEASURES = (LEARNED, "partial", "strict")


def held_out_captions(count: int) -> list[Caption]:
    """Different captions in equal shares of the tasks, as far as a task has so many."""
    found = {caption.text(): caption for caption in evaluation_captions(4 * count, seed=11)}.values()
    by_task = [[caption for caption in found if caption.task == task] for task in TASKS]
    interleaved = [group[i] for i in range(count) for group in by_task if i < len(group)]
    return interleaved[:count]


def run_pair(caption: Caption, seed: int, step_kind: str) -> list[dict[str, Any]]:
    """All arms for one prompt and seed: a row an arm. Loads model and reward once a process."""
    import torch

    from core.explore import explore

    torch.set_num_threads(1)
    model, reward = _loaded()
    rows = []
    for preset in ("smart-grpo", "smart-grpo-sde"):
        config = ExploreConfig(
            prompt=caption.text(),
            seed=seed,
            step_kind=step_kind,  # type: ignore[arg-type]  # validated by explore
            search=PRESETS[preset],
            rewards={LEARNED: 1.0},
        )
        if preset != "smart-grpo":
            config = replace(config, arms=())
        for event in explore(config, model, {LEARNED: reward}):
            if isinstance(event, ArmFinished):
                strict, partial_credit = verify(event.image, caption)
                rows.append(
                    {
                        "arm": preset if event.arm == "search" else event.arm,
                        "prompt": caption.text(),
                        "seed": seed,
                        LEARNED: event.rewards[LEARNED],
                        "partial": partial_credit,
                        "strict": float(strict),
                        "nfe": event.cost.nfe,
                        "decodes": event.cost.decodes,
                        "seconds": event.cost.seconds,
                    }
                )
    return rows


_cache: dict[str, Any] = {}


def _loaded() -> Any:
    from core.models.registry import load_model
    from core.rewards.registry import load_reward

    if not _cache:
        _cache["both"] = (load_model("shapes-sd3"), load_reward(LEARNED))
    return _cache["both"]


def bootstrap_interval(values: np.ndarray, num_bootstrap: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean of (prompts, seeds), prompts drawn with replacement."""
    means = values.mean(1)
    draws = np.random.default_rng(seed).integers(len(means), size=(num_bootstrap, len(means)))
    low, high = np.quantile(means[draws].mean(1), [0.025, 0.975])
    return float(low), float(high)


def summarise(rows: Sequence[dict[str, Any]], against: str = "no_search") -> list[dict[str, Any]]:
    """A row an arm: means, and differences to the arm `against` with intervals."""
    prompts = sorted({row["prompt"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    table = []

    def grid(arm: str, measure: str) -> np.ndarray:
        values = {(row["prompt"], row["seed"]): row[measure] for row in rows if row["arm"] == arm}
        return np.array([[values[p, s] for s in seeds] for p in prompts], dtype=float)

    for arm in ARMS:
        summary: dict[str, Any] = {"arm": arm}
        for measure in MEASURES:
            values = grid(arm, measure)
            low, high = bootstrap_interval(values - grid(against, measure))
            summary[measure] = round(float(values.mean()), 4)
            summary[f"{measure}_gain"] = [
                round(float((values - grid(against, measure)).mean()), 4),
                round(low, 4),
                round(high, 4),
            ]
        summary |= {cost: round(float(grid(arm, cost).mean()), 2) for cost in ("nfe", "decodes", "seconds")}
        table.append(summary)
    return table


def as_markdown(table: Sequence[dict[str, Any]], against: str = "no_search") -> str:
    """The table as the README shows it."""
    titles = ["arm", "learned reward", f"gain over {against}", "verifier, partial", "gain", "verifier, strict", "gain"]
    titles += ["NFE", "decodes"]
    lines = ["| " + " | ".join(titles) + " |", "| --- " * len(titles) + "|"]
    for row in table:
        cells = [row["arm"]]
        for measure in MEASURES:
            gain, low, high = row[f"{measure}_gain"]
            cells += [
                f"{row[measure]:.3f}",
                "" if row["arm"] == against else f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]",
            ]
        lines.append("| " + " | ".join([*cells, f"{row['nfe']:.0f}", f"{row['decodes']:.0f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run all pairs in as many processes as there are cores and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="table and rows as one JSON object")
    parser.add_argument("--prompts", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--step-kind", default="sde", choices=("sde", "cps", "dance"))
    parser.add_argument("--against", default="no_search", choices=ARMS, help="the arm that gains are measured over")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    captions = held_out_captions(arguments.prompts)
    work = [(caption, seed) for caption in captions for seed in range(arguments.seeds)]
    with ProcessPoolExecutor(arguments.processes) as pool:
        job = partial(run_pair, step_kind=arguments.step_kind)
        rows = [row for group in pool.map(job, *zip(*work, strict=True)) for row in group]
    table = summarise(rows, arguments.against)
    print(json.dumps({"table": table, "rows": rows}) if arguments.json else as_markdown(table, arguments.against))


if __name__ == "__main__":
    main()
