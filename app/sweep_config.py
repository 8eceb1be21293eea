"""What a sweep is asked to do: a base config, one or two of its settings varied, and seeds. No torch."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from app.prompt_sets import prompts_of
from app.sweep_kinds import SEARCHES, Config, Kind, kind_of
from core import config as settings
from core.config import ExploreConfig
from core.errors import ConfigError
from storage.sweeps import key_of

MAX_AXES, MAX_VALUES, MAX_PROMPTS, MAX_SEEDS, MAX_RUNS = 2, 12, 100, 50, 400
FIELDS = frozenset({"of", "axes", "prompts", "set", "seeds", "base", "name"})
_WORDS: dict[str, Any] = {"true": True, "yes": True, "false": False, "no": False, "usual": None, "none": None}


@dataclass(frozen=True)
class Axis:
    """A setting and the values that it takes in turn."""

    setting: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Run:
    """One run of a sweep: its cell (an index into each axis), the prompt's index, the seed, and what is run.

    `words` tell it from the others of its prompt.
    """

    kind: Kind
    cell: tuple[int, ...]
    prompt: int
    seed: int
    config: Any
    words: str

    @cached_property
    def key(self) -> str:
        """What the record is found by, wherever it was run: see `storage.sweeps.key_of`."""
        return key_of(self.kind.name, self.kind.digest(self.config), vars(self.config))


@dataclass(frozen=True)
class SweepConfig:
    """`base` has everything that is not varied, as plain values. A fine-tune's prompts are settings of it: a sweep of
    such has none of its own.
    """

    kind: Kind
    base: Mapping[str, Any]
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    prompts: tuple[str, ...] = ()

    @property
    def num_runs(self) -> int:
        """Cells x prompts x seeds."""
        cells = len(list(self.cells()))
        return cells * max(1, len(self.prompts)) * len(self.seeds)

    def cells(self) -> Iterator[tuple[int, ...]]:
        """Every cell, the first axis outermost."""
        return itertools.product(*(range(len(axis.values)) for axis in self.axes))

    def runs(self) -> list[Run]:
        """Every run, a prompt and a seed of all cells before the next, so that a map fills evenly.

        Raises ConfigError where a combination cannot be run.
        """
        made = {cell: self._config(cell) for cell in self.cells()}
        prompts: list[dict[str, Any]] = [{"prompt": prompt} for prompt in self.prompts] or [{}]
        pairs = itertools.product(self.seeds, enumerate(prompts))
        return [
            Run(self.kind, cell, at, seed, replace(config, seed=seed, **prompt), f"{self._words(cell)}, seed {seed}")
            for seed, (at, prompt) in pairs
            for cell, config in made.items()
        ]

    def _words(self, cell: tuple[int, ...]) -> str:
        names = (axis.setting.removeprefix("search.").replace("_", " ") for axis in self.axes)
        values = (value_text(axis.values[at]) for axis, at in zip(self.axes, cell, strict=True))
        return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))

    def _config(self, cell: tuple[int, ...]) -> Config:
        chosen = {axis.setting: axis.values[at] for axis, at in zip(self.axes, cell, strict=True)}
        plain = self.kind.changed(dict(self.base), chosen)
        try:
            config: Config = self.kind.config(plain)
        except ConfigError as error:
            where = ", ".join(f"{name} {value_text(value)}" for name, value in chosen.items())
            raise ConfigError({name: f"with {where}: {text}" for name, text in error.problems.items()}) from None
        return config


def read_value(text: str) -> Any:
    """A value as people write it: a whole number, a number, yes or no, `usual` for none, else a word."""
    word = text.strip()
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return _WORDS.get(word.lower(), word)


def value_text(value: Any) -> str:
    """The way back, for people."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "usual"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_sweep(body: Mapping[str, Any]) -> SweepConfig:
    """Read and check everything: raises ConfigError with every problem, by the body's own field.

    `of` is the kind of its runs, session (unless it is said) or train. `axes` lists {setting, values}; `prompts`, of
    searches alone, is a list or `set` names one; `seeds` is a list or how many; `base` has settings that differ from
    the usual ones, its preset by name.
    """
    kind = kind_of(body.get("of", SEARCHES.name))
    problems = {str(name)[:60]: "is not a setting of a sweep" for name in body if name not in FIELDS}
    found: dict[str, Any] = {}
    readers = {"axes": _axes, "prompts": _prompts, "seeds": _seeds}
    for name, read in readers.items():
        try:
            found[name] = read(body, kind)
        except ConfigError as error:
            problems |= error.problems
    if problems:
        raise ConfigError(problems)
    config = SweepConfig(kind, _base(body, kind, found["axes"]), **found)
    if config.num_runs > MAX_RUNS:
        raise ConfigError({"axes": f"expected at most {MAX_RUNS} runs, got {config.num_runs:,}"})
    config.runs()
    return config


def _axes(body: Mapping[str, Any], kind: Kind) -> tuple[Axis, ...]:
    given = body.get("axes")
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= MAX_AXES:
        raise ConfigError({"axes": f"expected one or two settings with their values, got {given!r:.60}"})
    axes = tuple(_axis(one, kind, f"axis-{at}") for at, one in enumerate(given))
    if len({axis.setting for axis in axes}) < len(axes):
        raise ConfigError({"axis-1": f"expected another setting than the first, got {axes[0].setting} twice"})
    return axes


def _axis(given: Any, kind: Kind, where: str) -> Axis:
    plain = given if isinstance(given, Mapping) else {}
    setting, values = plain.get("setting"), plain.get("values")
    if setting not in kind.settings:
        raise ConfigError({where: f"expected one of {', '.join(kind.settings)}, got {setting!r:.60}"})
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= MAX_VALUES:
        raise ConfigError({where: f"expected 1 to {MAX_VALUES} values of {setting}, got {values!r:.60}"})
    read = tuple(read_value(one) if isinstance(one, str) else one for one in values)
    if any(not isinstance(one, str | int | float | None) for one in read):
        raise ConfigError({where: f"expected numbers, words, yes or no, got {values!r:.60}"})
    again = next((one for at, one in enumerate(read) if one in read[:at]), None)
    if again is not None or read.count(None) > 1:
        raise ConfigError({where: f"expected every value once, got {value_text(again)} twice"})
    return Axis(str(setting), read)


def _prompts(body: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    given, named = body.get("prompts"), body.get("set")
    if kind is not SEARCHES:
        if given is not None or named is not None:
            raise ConfigError({"prompts": "a fine-tune's prompts are settings of it: expected them in base"})
        return ()
    if (given is None) == (named is None):
        raise ConfigError({"prompts": "expected a list of prompts, or the name of a set, and not both"})
    listed: Any = prompts_of(named) if isinstance(named, str) else given
    if not isinstance(listed, list | tuple) or not 1 <= len(listed) <= MAX_PROMPTS:
        raise ConfigError({"prompts": f"expected 1 to {MAX_PROMPTS} prompts, got {_many(listed)}"})
    for prompt in listed:
        wrong = settings.problems_of(ExploreConfig(prompt)).get("prompt")
        if wrong:
            raise ConfigError({"prompts": wrong})
    if len(set(listed)) < len(listed):
        raise ConfigError({"prompts": "expected every prompt once"})
    return tuple(listed)


def _many(value: Any) -> str:
    return str(len(value)) if isinstance(value, list | tuple) else f"{value!r:.60}"


def _seeds(body: Mapping[str, Any], kind: Kind) -> tuple[int, ...]:
    given = body.get("seeds", 1)
    listed: Any = list(range(min(given, MAX_SEEDS + 1))) if type(given) is int else given
    if not isinstance(listed, list | tuple) or not 1 <= len(listed) <= MAX_SEEDS:
        raise ConfigError({"seeds": f"expected 1 to {MAX_SEEDS} seeds, or a list of them, got {given!r:.60}"})
    wrong = [settings.problems_of(ExploreConfig("-", seed=one)).get("seed") for one in listed]
    if any(wrong) or len(set(listed)) < len(listed):
        raise ConfigError({"seeds": next(filter(None, wrong), "expected every seed once")})
    return tuple(listed)


def _base(body: Mapping[str, Any], kind: Kind, axes: Sequence[Axis]) -> dict[str, Any]:
    """With the first values of what is varied: what stands there in the body is nobody's setting."""
    given = body.get("base") or {}
    if not isinstance(given, Mapping):
        raise ConfigError({"base": f"expected an object, got {given!r:.60}"})
    return kind.base(given, {axis.setting: axis.values[0] for axis in axes})


def to_plain(config: SweepConfig) -> dict[str, Any]:
    """Plain JSON values; `from_plain` inverts it. One without a kind is of searches."""
    axes = [{"setting": axis.setting, "values": list(axis.values)} for axis in config.axes]
    of = {} if config.kind is SEARCHES else {"of": config.kind.name}
    listed = {"prompts": list(config.prompts), "seeds": list(config.seeds)}
    return of | {"base": dict(config.base), "axes": axes, **listed}


def from_plain(plain: Mapping[str, Any]) -> SweepConfig:
    """A stored sweep. Raises ConfigError for one that this version cannot read."""
    kind = kind_of(plain.get("of", SEARCHES.name))
    axes = _axes(plain, kind)
    return SweepConfig(kind, _base(plain, kind, axes), axes, _seeds(plain, kind), tuple(plain["prompts"]))


def hash_of(config: SweepConfig) -> str:
    """A short digest of everything that decides the result."""
    text = json.dumps(to_plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def title_of(labels: Sequence[str]) -> str:
    """What a sweep is called unless somebody names it, from the labels of what is varied."""
    return " by ".join(label if at == 0 else label[0].lower() + label[1:] for at, label in enumerate(labels))


def preset_label(config: SweepConfig) -> str:
    """The preset that a list shows: the usual one where it is varied."""
    varied = any(axis.setting == "preset" for axis in config.axes)
    return config.kind.preset({} if varied else config.base)
