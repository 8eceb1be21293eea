"""Settings of several records beside one another: which differ, and which records differ in prompt and seed alone.

Pure functions over stored configs as plain JSON.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.labels import label_of
from core.config import FIELD_HELP
from core.train_help import TRAIN_HELP

Config = Mapping[str, Any]
# What may differ between repetitions of one way of doing things. Arms run beside a search and change nothing of it;
# threads and batch sizes only round differently.
FREE: dict[str, frozenset[str]] = {
    "session": frozenset({"prompt", "seed", "arms", "threads", "batch_size"}),
    "train": frozenset({"seed", "threads", "eval_every", "sample_every", "watch_every", "checkpoint_every"}),
}
# A measurement has a whole session's settings inside it, of which these are not used.
UNUSED = ("base.prompt", "base.seed", "base.search.", "base.arms", "base.window_", "base.estimator")
FEW = 3  # texts of a list that are shown
SHOWN = 80  # characters of each


def rows(kind: str, configs: Mapping[str, Config]) -> list[dict[str, Any]]:
    """A row a setting, those that differ first: `name`, `label`, `help`, `values` as text by letter, and
    whether it `differs`.

    A setting that a record does not have, such as the weight of a reward that it does not use, is empty.
    """
    flat = {letter: flattened(config) for letter, config in configs.items()}
    names = list(dict.fromkeys(name for one in flat.values() for name in one))
    found = [
        {
            "name": name.removeprefix("base."),
            "label": label_of(kind, name),
            "help": TRAIN_HELP.get(name) or FIELD_HELP.get(name.removeprefix("base."), ""),
            "values": {letter: shown(one[name]) if name in one else "" for letter, one in flat.items()},
            "differs": len({json.dumps(one.get(name, Ellipsis), default=str) for one in flat.values()}) > 1,
        }
        for name in names
        if not name.startswith(UNUSED)
    ]
    return sorted(found, key=lambda row: not row["differs"])


def flattened(config: Config, before: str = "") -> dict[str, Any]:
    """Settings by their name with dots ("search.num_candidates"); lists stay whole."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= flattened(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return flat


def shown(value: Any) -> str:
    """A setting's value as text."""
    if value is None:
        return "as usual"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        told = ", ".join(shown(one) for one in value[:FEW])
        return f"{len(value)}: {told} …" if len(value) > FEW else told or "none"
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def family(kind: str, config: Config) -> str:
    """The same for records that differ in nothing but prompt and seed, and in what changes no result."""
    kept = {name: value for name, value in config.items() if name not in FREE.get(kind, frozenset())}
    return json.dumps(kept, sort_keys=True)


def families(kind: str, configs: Mapping[str, Config]) -> list[list[str]]:
    """Letters of the same family together, in order."""
    found: dict[str, list[str]] = {}
    for letter, config in configs.items():
        found.setdefault(family(kind, config), []).append(letter)
    return list(found.values())


def listed(words: Sequence[str]) -> str:
    """Some words as a sentence has them."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
