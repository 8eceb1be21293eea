"""Where can an early guess be trusted? `python -m core.shapes.measure [--json]`: the reliability of the embedded world.

16 held-out captions, 16 siblings at every timestep but the last. The proxy is the reward of an estimate, the truth the
reward of the picture that this very sibling leads to. Both embedded rewards, every estimate, and the window that the
learned reward recommends, with the exact verifier held out.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.config import ExploreConfig, StepKind
from core.measure import RETURNED, SiblingsMeasured, arrays, measure
from core.measure_config import ESTIMATES, Estimate, MeasureConfig
from core.reliability import Reliability, analyse, window
from core.shapes.compare import bootstrap_interval, held_out_captions
from core.shapes.scenes import Caption

LEARNED, VERIFIER = "shapes-clip", "shapes-verifier"


def config_for(captions: Sequence[Caption], seeds: int, siblings: int, step_kind: StepKind) -> MeasureConfig:
    """The measurement of the README's table, on these captions."""
    base = ExploreConfig("-", step_kind=step_kind, rewards={LEARNED: 1.0, VERIFIER: 0.0})
    return MeasureConfig(
        tuple(caption.text() for caption in captions), base, tuple(range(seeds)), siblings, estimates=ESTIMATES
    )


def run_prompt(config: MeasureConfig) -> list[SiblingsMeasured]:
    """All events of a config of one prompt; its pictures are left behind. Loads model and rewards once a process."""
    import torch

    torch.set_num_threads(1)
    model, rewards = _loaded()
    return [replace(event, guesses=None, finals=None) for event in measure(config, model, rewards)]


_cache: dict[str, Any] = {}


def _loaded() -> Any:
    from core.models.registry import load_model
    from core.rewards.registry import load_reward

    if not _cache:
        _cache["both"] = (load_model("shapes-sd3"), {name: load_reward(name) for name in (LEARNED, VERIFIER)})
    return _cache["both"]


def gathered(config: MeasureConfig, processes: int) -> list[SiblingsMeasured]:
    """The whole measurement, a prompt at a time in several processes."""
    parts = [replace(config, prompts=(prompt,)) for prompt in config.prompts]
    with ProcessPoolExecutor(processes) as pool:
        found = list(pool.map(run_prompt, parts))
    seeds = len(config.seeds)
    return [replace(event, row=index * seeds + event.row) for index, part in enumerate(found) for event in part]


def analyses(events: Sequence[SiblingsMeasured], num_elites: int = 2, draw: int = 5) -> dict[str, Reliability]:
    """By "estimate proxy > truth"; searches are taken to see `draw` candidates."""
    pairs: list[tuple[Estimate, str, str]] = [(name, LEARNED, LEARNED) for name in ESTIMATES]
    pairs += [("sde", LEARNED, VERIFIER), ("sde", VERIFIER, VERIFIER), ("literal", VERIFIER, VERIFIER)]
    return {
        f"{estimate} {proxy} > {truth}": analyse(
            **arrays(events, estimate, proxy, truth), num_elites=num_elites, draw=draw
        )
        for estimate, proxy, truth in pairs
    }


def realised(events: Sequence[SiblingsMeasured], reading: Estimate = "sde") -> list[dict[str, Any]]:
    """By step: what a one-iteration search returns gains over a random sibling, on both rewards, with intervals."""
    table = []
    for step in sorted({one.step for one in events}):
        here = [one for one in events if one.step == step]
        row: dict[str, Any] = {"step": step, "sigma": here[0].sigma}
        for mode in RETURNED:
            for reward in (LEARNED, VERIFIER):
                by_prompt: dict[str, list[float]] = {}
                for one in here:
                    gain = one.returned[reading].rewards[mode][reward] - float(np.mean(one.truth[reward]))
                    by_prompt.setdefault(one.prompt, []).append(gain)
                gains = np.array(list(by_prompt.values()))
                low, high = bootstrap_interval(gains)
                row[f"{mode} {reward}"] = [round(float(value), 4) for value in (gains.mean(), low, high)]
        table.append(row)
    return table


def advised_window(found: Mapping[str, Reliability]) -> tuple[float, float] | None:
    """Where the learned reward recommends a search, the verifier held out.

    Without the last measured step: from there the ODE takes one step, and the one-step guess is the truth itself.
    """
    own, held = (
        replace(one, timesteps=one.timesteps[:-1])
        for one in (found[f"sde {LEARNED} > {reward}"] for reward in (LEARNED, VERIFIER))
    )
    return window(own, held)


def as_markdown(found: dict[str, Reliability], gains: Sequence[dict[str, Any]]) -> str:
    """The table as the README shows it: a line a timestep."""
    titles = ["step", "sigma", "literal", "sde", "null band", "5-step", "top-1 of 5", "efficiency", "spread of truth"]
    titles += ["expected gain", "realised, best of 16", "the same on the verifier", "verifier as proxy"]
    literal, sde, five = (found[f"{name} {LEARNED} > {LEARNED}"].timesteps for name in ("literal", "sde", "5-step"))
    verifier = found[f"sde {VERIFIER} > {VERIFIER}"].timesteps
    lines = ["| " + " | ".join(titles) + " |", "| --- " * len(titles) + "|"]
    for index, (a, b, c, v, gain) in enumerate(zip(literal, sde, five, verifier, gains, strict=True)):
        cells = [str(index + 1), f"{b.sigma:.3f}"]
        cells += [f"{one.spearman_median:.2f} [{one.spearman_low:.2f}, {one.spearman_high:.2f}]" for one in (a, b)]
        cells += [f"[{b.null_low:.2f}, {b.null_high:.2f}]", f"{c.spearman_median:.2f}", f"{b.top1:.2f}"]
        cells += [f"{b.selection_efficiency:.2f}", f"{b.truth_std:.3f}", f"{b.expected_gain:+.4f}"]
        cells += [f"{g[0]:+.3f} [{g[1]:+.3f}, {g[2]:+.3f}]" for g in (gain[f"best {r}"] for r in (LEARNED, VERIFIER))]
        cells += [f"{v.spearman_median:.2f}" if np.isfinite(v.spearman_median) else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure in as many processes as there are cores, and print the table and the recommended window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="everything as one JSON object")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--siblings", type=int, default=16)
    parser.add_argument("--step-kind", default="sde", choices=("sde", "cps", "dance"))
    parser.add_argument("--save", type=Path, metavar="FILE.npz", help="keep the arrays (for `app reliability`)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    config = config_for(held_out_captions(arguments.prompts), arguments.seeds, arguments.siblings, arguments.step_kind)
    events = gathered(config, arguments.processes)
    found, gains = analyses(events), realised(events)
    advised = advised_window(found)
    if arguments.save:
        np.savez_compressed(arguments.save, **arrays(events, "sde", LEARNED, LEARNED))
    if arguments.json:
        plain = {name: one.to_json() for name, one in found.items()}
        print(json.dumps({"analyses": plain, "realised": gains, "window": advised}))
        return
    print(as_markdown(found, gains))
    told = "nowhere" if advised is None else f"where sigma is from {advised[0]:.3f} to {advised[1]:.3f}"
    print(f"\nRecommended window for the learned reward, with the verifier held out: {told}.")


if __name__ == "__main__":
    main()
