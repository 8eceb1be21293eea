"""Does it help to search only where the guess is reliable? `python -m core.shapes.gate [--json]`.

The window is chosen by a measurement on prompts A (`core.shapes.measure`). On other prompts B the search confined to
it, with as many candidates as the same NFE buys, is compared with the search at every timestep, for both readings,
paired by prompt and seed, from the same starting noise. Both climb the learned reward; none sees the verifier.
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

from core import plan
from core.config import PRESETS, ExploreConfig
from core.events import ArmFinished
from core.schedule import shifted
from core.shapes.compare import MEASURES, bootstrap_interval, held_out_captions
from core.shapes.measure import LEARNED, advised_window, analyses, config_for, gathered
from core.shapes.scenes import Caption
from core.shapes.verifier import verify

PRESETS_COMPARED = ("smart-grpo", "smart-grpo-sde")


def compared(prompt: str, seed: int, window: tuple[float, float]) -> dict[str, ExploreConfig]:
    """The searches of one prompt and seed, by name; the gated ones spend at most the same NFE."""
    sigmas = shifted(ExploreConfig("-").num_steps)
    found = {}
    for name in PRESETS_COMPARED:
        everywhere = ExploreConfig(
            prompt, seed, window_min=0.0, window_max=1.0, search=PRESETS[name], rewards={LEARNED: 1.0}, arms=()
        )
        found[name] = replace(everywhere, arms=("no_search",)) if name == PRESETS_COMPARED[0] else everywhere
        found[f"{name}, gated"] = plan.gated(everywhere, window, sigmas, nfe_per_velocity=2)
    return found


def run_prompt(caption: Caption, seeds: int, window: tuple[float, float]) -> list[dict[str, Any]]:
    """All searches of one prompt, a row a search and seed."""
    import torch

    from core.explore import explore
    from core.models.registry import load_model
    from core.rewards.registry import load_reward

    torch.set_num_threads(1)
    model, rewards = load_model("shapes-sd3"), {LEARNED: load_reward(LEARNED)}
    rows = []
    for seed in range(seeds):
        for name, config in compared(caption.text(), seed, window).items():
            for event in explore(config, model, rewards):
                if isinstance(event, ArmFinished):
                    strict, partial = verify(event.image, caption)
                    rows.append(
                        {
                            "arm": name if event.arm == "search" else event.arm,
                            "prompt": caption.text(),
                            "seed": seed,
                            LEARNED: event.rewards[LEARNED],
                            "partial": partial,
                            "strict": float(strict),
                            "nfe": event.cost.nfe,
                        }
                    )
    return rows


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a search: mean gains over no_search, and of a gated search over its ungated self, with intervals."""
    pairs = [(name, "no_search") for name in dict.fromkeys(row["arm"] for row in rows) if name != "no_search"]
    pairs += [(f"{name}, gated", name) for name in PRESETS_COMPARED]
    table = []
    for name, against in pairs:
        line: dict[str, Any] = {"search": name, "against": against}
        for measure in MEASURES:
            gains = _grid(rows, name, measure) - _grid(rows, against, measure)
            line[measure] = [round(float(x), 4) for x in (gains.mean(), *bootstrap_interval(gains))]
        line["nfe"] = float(_grid(rows, name, "nfe").mean())
        table.append(line)
    return table


def _grid(rows: Sequence[dict[str, Any]], arm: str, measure: str) -> np.ndarray:
    """Values (prompts, seeds) of one arm."""
    by_prompt: dict[str, list[float]] = {}
    for row in rows:
        if row["arm"] == arm:
            by_prompt.setdefault(row["prompt"], []).append(row[measure])
    return np.array(list(by_prompt.values()), dtype=float)


def as_markdown(table: Sequence[dict[str, Any]]) -> str:
    """The table as the README shows it."""
    titles = ["search", "gain over", "learned reward", "verifier, partial", "verifier, strict", "NFE"]
    lines = ["| " + " | ".join(titles) + " |", "| --- " * len(titles) + "|"]
    for row in table:
        cells = [row["search"], row["against"]]
        cells += ["{:+.3f} [{:+.3f}, {:+.3f}]".format(*row[measure]) for measure in MEASURES]
        lines.append("| " + " | ".join([*cells, f"{row['nfe']:.0f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Choose the window on prompts A, judge it on prompts B."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="window, table and rows as one JSON object")
    parser.add_argument("--measured", type=int, default=16, help="prompts A (default: 16)")
    parser.add_argument("--judged", type=int, default=20, help="prompts B (default: 20)")
    parser.add_argument("--seeds", type=int, default=2, help="of prompts B (default: 2)")
    parser.add_argument(
        "--window", nargs=2, type=float, metavar=("LOW", "HIGH"), help="judge this one, measure nothing"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    captions = held_out_captions(asked.measured + asked.judged)
    advised: tuple[float, float] | None = tuple(asked.window) if asked.window else None
    if advised is None:
        found = analyses(gathered(config_for(captions[: asked.measured], 1, 16, "sde"), asked.processes))
        advised = advised_window(found)
    if advised is None:
        print("No timestep is recommended on the measured prompts: there is nothing to gate.")
        return
    with ProcessPoolExecutor(asked.processes) as pool:
        job = partial(run_prompt, seeds=asked.seeds, window=advised)
        rows = [row for group in pool.map(job, captions[asked.measured :]) for row in group]
    table = summarise(rows)
    if asked.json:
        print(json.dumps({"window": advised, "table": table, "rows": rows}))
        return
    print(f"Window: sigma from {advised[0]:.3f} to {advised[1]:.3f}\n\n{as_markdown(table)}")


if __name__ == "__main__":
    main()
