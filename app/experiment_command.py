"""`experiment`: train what an experiment lacks, then tell what all its runs say, as text, JSON and a report."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from app import experiments
from app.environment import environment
from app.experiment_report import notes, report
from app.experiments import Experiment, Found, collect, finished, train_missing
from app.services import Lab
from app.toolbox import Toolbox, torch_toolbox
from core.errors import ConfigError
from core.experiment_results import results, sentence
from core.train_config import to_dict
from core.train_events import EpochFinished, TrainEvent


def run_experiment(
    lab: Lab,
    name: str,
    *,
    small: bool = False,
    seeds: int | None = None,
    train: bool = True,
    report_to: Path | None = None,
    results_to: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    toolbox: Toolbox | None = None,
    out: TextIO | None = None,
) -> int:
    """Returns 1 while runs are missing, else 0. Without `train` it only tells. Raises LabError."""
    experiment, out = experiments.load(name, small=small, **(changes or {})), out or sys.stdout
    count = experiment.seeds if seeds is None else seeds
    if not 1 <= count <= experiments.MAX_SEEDS:
        raise ConfigError({"seeds": f"expected 1 to {experiments.MAX_SEEDS}, got {count}"})
    problems: dict[tuple[str, int], str] = {}
    if train:
        tools = toolbox or torch_toolbox(lab.settings.device)
        try:
            with _Progress(experiment, count) as listen:
                problems = train_missing(lab, experiment, count, tools, listen)
        except KeyboardInterrupt:
            print("what was trained is kept: the same command goes on where this stopped", file=sys.stderr)
            raise
    found = told(experiment, collect(lab, experiment, count), count, lab.settings.device)
    for (arm, seed), why in problems.items():
        print(f"{arm}, seed {seed}: {why}", file=sys.stderr)
    if results_to is not None:
        results_to.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if report_to is not None:
        report_to.write_text(report(found), encoding="utf-8")
    print(as_text(found), file=out)
    return 1 if found["missing"] else 0


def told(experiment: Experiment, stored: Mapping[str, Mapping[int, Found]], seeds: int, device: str) -> dict[str, Any]:
    """Everything that the report, the results' file and the text are made of."""
    arms = {arm: dict(finished(each)) for arm, each in stored.items()}
    configs = {arm: to_dict(config) for arm, config in experiment.arms.items()}
    rows = [_row(arm, seed, one) for arm, each in stored.items() for seed, one in sorted(each.items())]
    done = {(row["arm"], row["seed"]): row["state"] for row in rows}
    missing = [
        {"arm": arm, "seed": seed, "state": done.get((arm, seed), "not begun")}
        for arm, seed in experiment.queue(seeds)
        if done.get((arm, seed)) != "succeeded"
    ]
    about = {name: getattr(experiment, name) for name in ("name", "title", "question", "small")}
    return (
        about
        | {"seeds": seeds, "runs": rows, "missing": missing}
        | results(arms, experiment.contrasts, experiment.measures, configs)
        | {"environment": environment(device, next(iter(experiment.arms.values())).threads)}
    )


def _row(arm: str, seed: int, one: Found) -> dict[str, Any]:
    last: Mapping[str, Any] = one.epochs[-1] if one.epochs else {"epoch": 0, "nfe": 0, "seconds": 0.0}
    spent = {"epochs": last["epoch"], "nfe": last["nfe"], "seconds": last["seconds"]}
    return (
        {"arm": arm, "seed": seed, "record": one.record_id, "state": one.state}
        | spent
        | {"commit": one.environment.get("commit")}
    )


def as_text(found: Mapping[str, Any]) -> str:
    """The experiment as lines: what is missing, gains by arm, contrasts in words."""
    lines = [found["title"], *notes(found), ""]
    for measure, words in found["measures"].items():
        for name, arm in found["arms"].items():
            if (gained := arm["gains"].get(measure)) is not None:
                first, last = gained["first"]["mean"], gained["last"]["mean"]
                lines.append(f"{words}, {name}: {first:.4f} to {last:.4f} over {gained['gain']['seeds']} seed(s)")
    return "\n".join([*lines, "", *(sentence(one, found["measures"]) for one in found["contrasts"])])


class _Progress:
    """A bar over all epochs of an experiment, those of finished runs included as they are passed."""

    def __init__(self, experiment: Experiment, seeds: int):
        self.experiment = experiment
        total = sum(experiment.arms[arm].epochs for arm, _ in experiment.queue(seeds))
        self.bar = tqdm(total=total, unit=" epochs", leave=False, file=sys.stderr)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.close()

    def __call__(self, arm: str, seed: int, event: TrainEvent) -> None:
        """Hear an event of a run."""
        if isinstance(event, EpochFinished):
            before = self._before(arm, seed)
            self.bar.set_description_str(f"{arm}, seed {seed}")
            self.bar.update(before + event.epoch - self.bar.n)

    def _before(self, arm: str, seed: int) -> int:
        order: Sequence[tuple[str, int]] = self.experiment.queue(seed + 1)
        earlier = order[: order.index((arm, seed))]
        return sum(self.experiment.arms[name].epochs for name, _ in earlier)
