"""A run's settings and figures in forms that can be carried elsewhere: a command line, a table. No torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from app.reliability_export import csv_line
from app.reuse import quoted
from core.config import PRESETS, SearchConfig
from core.train_config import TRAIN_PRESETS, TrainConfig, preset

_COSTS = ("nfe", "decodes", "total_seconds")


def command_line(config: TrainConfig, name: str | None = None) -> str:
    """The `python -m app train` line that runs this config as `name`, with only what differs from its preset."""
    base = preset(config.preset if config.preset in TRAIN_PRESETS else TrainConfig.preset)
    words = ["python", "-m", "app", "train", "--preset", base.preset]
    for one in fields(TrainConfig):
        value = getattr(config, one.name)
        if one.name not in ("preset", "search") and (value != getattr(base, one.name) or one.name == "threads"):
            words += _flags(one.name, value)
    searched = PRESETS.get(config.search.preset, base.search)
    if searched != base.search:
        words += ["--search", config.search.preset]
    for one in fields(SearchConfig):
        value = getattr(config.search, one.name)
        if one.name != "preset" and value != getattr(searched, one.name):
            words += _flags(one.name, value)
    words += ["--name", name] if name else []
    return " ".join(quoted(word) for word in words)


def _flags(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if name == "rewards":
        return [word for reward, weight in value.items() for word in ("--reward", f"{reward}={weight!r}")]
    if name == "prompts":
        return [word for prompt in value for word in ("--prompt", prompt)]
    return [flag, "none" if value is None else str(value)]


def table(epochs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The epochs as lines of a CSV file, head first: every metric, figures by timestep, seconds by phase, and costs."""
    metrics = _names(epochs, "metrics")
    phases = _names(epochs, "seconds")
    steps = _names(epochs, "per_step")
    count = max((len(one["per_step"][name]) for one in epochs for name in one["per_step"]), default=0)
    yield csv_line(
        ["epoch", *metrics, *(f"{name} step {step + 1}" for name in steps for step in range(count))]
        + [f"seconds {name}" for name in phases]
        + ["nfe since start", "decodes since start", "training seconds since start"]
    )
    for one in epochs:
        by_step = [(one["per_step"].get(name) or []) for name in steps]
        values = [values[step] if step < len(values) else None for values in by_step for step in range(count)]
        cells = [one["metrics"].get(name) for name in metrics] + values
        yield csv_line(
            [one["epoch"], *cells, *(one["seconds"].get(name) for name in phases), *(one[c] for c in _COSTS)]
        )


def _names(epochs: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Every name that any epoch has, in the order of their first appearance."""
    return list(dict.fromkeys(name for one in epochs for name in one[kind]))
