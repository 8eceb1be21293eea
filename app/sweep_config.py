"""What a sweep is asked to do: a session's settings, one or two of them varied, over prompts and seeds. No torch."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.prompt_sets import prompts_of
from app.reuse import labelled, preset_of
from app.settings import default_threads
from core import config as settings
from core.config import PRESETS, ExploreConfig, SearchConfig, config_hash, preset_session
from core.errors import ConfigError

# What can be varied, in the order in which it is set: a preset decides settings that are varied beside it.
SETTINGS: tuple[str, ...] = (
    *("preset", "reward", "model", "num_steps", "guidance_scale", "step_kind", "noise_level"),
    *("window_min", "window_max", "search_initial", "search.num_candidates", "search.num_iterations"),
    *("search.elite_fraction", "search.reading", "search.result", "search.selection", "search.min_std"),
    *("search.algorithm", "estimator", "estimator_steps", "reward_sum"),
)
MAX_AXES, MAX_VALUES, MAX_PROMPTS, MAX_SEEDS, MAX_RUNS = 2, 12, 100, 50, 400
FIELDS = frozenset({"axes", "prompts", "set", "seeds", "base", "name"})
_WORDS: dict[str, Any] = {"true": True, "yes": True, "false": False, "no": False, "usual": None}


@dataclass(frozen=True)
class Axis:
    """A setting and the values that it takes in turn."""

    setting: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Run:
    """One session of a sweep: its cell (an index into each axis), the prompt's index, the seed, and what is run."""

    cell: tuple[int, ...]
    prompt: int
    seed: int
    config: ExploreConfig

    @property
    def hash(self) -> str:
        """The digest under which the session is found wherever it was run."""
        return config_hash(self.config)


@dataclass(frozen=True)
class SweepConfig:
    """`base` has everything that is not varied; its own prompt and seed are not used."""

    prompts: tuple[str, ...]
    axes: tuple[Axis, ...]
    base: ExploreConfig = field(default_factory=lambda: ExploreConfig("-"))
    seeds: tuple[int, ...] = (0,)

    @property
    def num_runs(self) -> int:
        """Cells x prompts x seeds."""
        cells = len(list(self.cells()))
        return cells * len(self.prompts) * len(self.seeds)

    def cells(self) -> Iterator[tuple[int, ...]]:
        """Every cell, the first axis outermost."""
        return itertools.product(*(range(len(axis.values)) for axis in self.axes))

    def runs(self) -> list[Run]:
        """Every session, a prompt and a seed of all cells before the next, so that a map fills evenly.

        Raises ConfigError where a combination cannot be run.
        """
        made = {cell: self._config(cell) for cell in self.cells()}
        pairs = itertools.product(self.seeds, enumerate(self.prompts))
        return [
            Run(cell, at, seed, replace(config, prompt=prompt, seed=seed))
            for seed, (at, prompt) in pairs
            for cell, config in made.items()
        ]

    def _config(self, cell: tuple[int, ...]) -> ExploreConfig:
        chosen = {axis.setting: axis.values[at] for axis, at in zip(self.axes, cell, strict=True)}
        plain = settings.to_dict(self.base)
        for name in SETTINGS:
            if name in chosen:
                plain = _with(plain, name, chosen[name])
        try:
            config = settings.from_dict(plain)
        except ConfigError as error:
            where = ", ".join(f"{name} {value_text(value)}" for name, value in chosen.items())
            raise ConfigError({name: f"with {where}: {text}" for name, text in error.problems.items()}) from None
        return replace(config, search=labelled(config.search, preset_of(config.search.preset)))


def _with(plain: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A plain config with one setting changed; what was climbed is watched where another reward is climbed."""
    if name == "preset":
        if not isinstance(value, str) or value not in PRESETS:
            raise ConfigError({"preset": f"expected one of {', '.join(PRESETS)}, got {value!r:.60}"})
        return plain | {"search": asdict(PRESETS[value])} | preset_session(value)
    if name == "reward":
        return plain | {"rewards": {value: 1.0, **{one: 0.0 for one in plain["rewards"] if one != value}}}
    if name.startswith("search."):
        return plain | {"search": plain["search"] | {name.removeprefix("search."): value}}
    return plain | {name: value}


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

    `axes` lists {setting, values}, `prompts` is a list or `set` names one, `seeds` a list or how many; `base` has
    settings of a session that differ from the usual ones, its preset by name.
    """
    problems = {str(name)[:60]: "is not a setting of a sweep" for name in body if name not in FIELDS}
    found: dict[str, Any] = {}
    readers = {"axes": _axes, "prompts": _prompts, "seeds": _seeds}
    for name, read in readers.items():
        try:
            found[name] = read(body)
        except ConfigError as error:
            problems |= error.problems
    if problems:
        raise ConfigError(problems)
    config = SweepConfig(base=_base(body, found["axes"]), **found)
    if config.num_runs > MAX_RUNS:
        raise ConfigError({"axes": f"expected at most {MAX_RUNS} runs, got {config.num_runs:,}"})
    config.runs()
    return config


def _axes(body: Mapping[str, Any]) -> tuple[Axis, ...]:
    given = body.get("axes")
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= MAX_AXES:
        raise ConfigError({"axes": f"expected one or two settings with their values, got {given!r:.60}"})
    axes = tuple(_axis(one, f"axis-{at}") for at, one in enumerate(given))
    if len({axis.setting for axis in axes}) < len(axes):
        raise ConfigError({"axis-1": f"expected another setting than the first, got {axes[0].setting} twice"})
    return axes


def _axis(given: Any, where: str) -> Axis:
    plain = given if isinstance(given, Mapping) else {}
    setting, values = plain.get("setting"), plain.get("values")
    if setting not in SETTINGS:
        raise ConfigError({where: f"expected one of {', '.join(SETTINGS)}, got {setting!r:.60}"})
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= MAX_VALUES:
        raise ConfigError({where: f"expected 1 to {MAX_VALUES} values of {setting}, got {values!r:.60}"})
    read = tuple(read_value(one) if isinstance(one, str) else one for one in values)
    if any(not isinstance(one, str | int | float | None) for one in read):
        raise ConfigError({where: f"expected numbers, words, yes or no, got {values!r:.60}"})
    again = next((one for at, one in enumerate(read) if one in read[:at]), None)
    if again is not None or read.count(None) > 1:
        raise ConfigError({where: f"expected every value once, got {value_text(again)} twice"})
    return Axis(str(setting), read)


def _prompts(body: Mapping[str, Any]) -> tuple[str, ...]:
    given, named = body.get("prompts"), body.get("set")
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


def _seeds(body: Mapping[str, Any]) -> tuple[int, ...]:
    given = body.get("seeds", 1)
    listed: Any = list(range(min(given, MAX_SEEDS + 1))) if type(given) is int else given
    if not isinstance(listed, list | tuple) or not 1 <= len(listed) <= MAX_SEEDS:
        raise ConfigError({"seeds": f"expected 1 to {MAX_SEEDS} seeds, or a list of them, got {given!r:.60}"})
    wrong = [settings.problems_of(ExploreConfig("-", seed=one)).get("seed") for one in listed]
    if any(wrong) or len(set(listed)) < len(listed):
        raise ConfigError({"seeds": next(filter(None, wrong), "expected every seed once")})
    return tuple(listed)


def _base(body: Mapping[str, Any], axes: Sequence[Axis]) -> ExploreConfig:
    """With the first values of what is varied: what stands there in the body is nobody's setting."""
    given = body.get("base") or {}
    if not isinstance(given, Mapping):
        raise ConfigError({"base": f"expected an object, got {given!r:.60}"})
    plain = {"threads": default_threads()} | dict(given) | {"prompt": "-", "seed": 0}
    preset = plain.pop("preset", None)
    if preset is not None:
        own = {name: given[name] for name in preset_session("") if name in given}
        search = given.get("search") if isinstance(given.get("search"), Mapping) else {}
        plain = _with(plain, "preset", preset) | own
        plain["search"] = plain["search"] | dict(search or {})
    first = {axis.setting: axis.values[0] for axis in axes}
    for name in SETTINGS:
        if name in first:
            plain = _with({"search": {}} | plain, name, first[name]) if name != "reward" else plain
    return settings.from_dict(plain)


def to_plain(config: SweepConfig) -> dict[str, Any]:
    """Plain JSON values; `from_plain` inverts it."""
    axes = [{"setting": axis.setting, "values": list(axis.values)} for axis in config.axes]
    listed = {"prompts": list(config.prompts), "seeds": list(config.seeds)}
    return {"base": settings.to_dict(config.base), "axes": axes, **listed}


def from_plain(plain: Mapping[str, Any]) -> SweepConfig:
    """A stored sweep. Raises ConfigError for one that this version cannot read."""
    axes = tuple(Axis(one["setting"], tuple(one["values"])) for one in plain["axes"])
    base = settings.from_dict(plain["base"])
    return SweepConfig(tuple(plain["prompts"]), axes, base, tuple(plain["seeds"]))


def hash_of(config: SweepConfig) -> str:
    """A short digest of everything that decides the result."""
    text = json.dumps(to_plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def title_of(labels: Sequence[str]) -> str:
    """What a sweep is called unless somebody names it, from the labels of what is varied."""
    return " by ".join(label if at == 0 else label[0].lower() + label[1:] for at, label in enumerate(labels))


def preset_label(config: SweepConfig) -> str:
    """The preset that a list shows: none where it is varied."""
    varied = any(axis.setting == "preset" for axis in config.axes)
    return SearchConfig.preset if varied else config.base.search.preset
