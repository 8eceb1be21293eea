"""What a sweep can consist of, searches or fine-tunes: the settings that can be varied, and how one is. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.reuse import labelled, preset_of
from app.settings import default_threads
from core import config as searches
from core import train_config as tunes
from core.config import PRESETS, ExploreConfig, SearchConfig, preset_session
from core.errors import ConfigError
from core.train_config import TrainConfig

Plain = dict[str, Any]
Config = ExploreConfig | TrainConfig
# What a fine-tune learns, from what and by what: the same for all where presets are compared.
_SAME_FOR_PRESETS = ("model", "prompt_set", "prompts", "rewards")


@dataclass(frozen=True)
class Kind:
    """One kind of runs: `name` is that of their records, `column` what a table calls one.

    `settings` can be varied, in the order in which they are set: a preset decides settings that are varied beside it.
    `change` is a plain config with one of them changed. `base` is what a body gives for all runs, as plain values, of
    a setting that is varied the first value; what it does not name is as the (varied) preset has it. `config` reads a
    plain config, `plain` writes it, `digest` is that under which a run of it is found wherever it was made. All raise
    ConfigError for what cannot be read.
    """

    name: str
    column: str
    settings: tuple[str, ...]
    change: Callable[[Plain, str, Any], Plain]
    base: Callable[[Mapping[str, Any], Mapping[str, Any]], Plain]
    config: Callable[[Any], Any]
    plain: Callable[[Any], Plain]
    digest: Callable[[Any], str]
    preset: Callable[[Mapping[str, Any]], str]

    def changed(self, plain: Plain, chosen: Mapping[str, Any]) -> Plain:
        """With all of `chosen`, each in its turn."""
        for name in self.settings:
            if name in chosen:
                plain = self.change(plain, name, chosen[name])
        return plain


def _climbing(rewards: Mapping[str, float], name: str) -> dict[str, float]:
    """What was climbed is watched where another reward is climbed."""
    return {name: 1.0, **{one: 0.0 for one in rewards if one != name}}


def _search_changed(plain: Plain, name: str, value: Any) -> Plain:
    if name == "preset":
        if not isinstance(value, str) or value not in PRESETS:
            raise ConfigError({"preset": f"expected one of {', '.join(PRESETS)}, got {value!r:.60}"})
        return plain | {"search": asdict(PRESETS[value])} | preset_session(value)
    if name == "reward":
        return plain | {"rewards": _climbing(plain["rewards"], value)} if "rewards" in plain else plain
    if name.startswith("search."):
        return plain | {"search": plain.get("search", {}) | {name.removeprefix("search."): value}}
    return plain | {name: value}


def _search_base(given: Mapping[str, Any], first: Mapping[str, Any]) -> Plain:
    """Its prompt and seed are not used."""
    plain = {"threads": default_threads()} | dict(given) | {"prompt": "-", "seed": 0}
    preset = plain.pop("preset", None)
    if preset is not None:
        own = {name: given[name] for name in preset_session("") if name in given}
        search = given.get("search") if isinstance(given.get("search"), Mapping) else {}
        plain = _search_changed(plain, "preset", preset) | own
        plain["search"] = plain["search"] | dict(search or {})
    varied = {name: value for name, value in first.items() if name != "reward"}
    return searches.to_dict(searches.from_dict(SEARCHES.changed(plain, varied)))


def _search_config(plain: Any) -> ExploreConfig:
    config = searches.from_dict(plain)
    return replace(config, search=labelled(config.search, preset_of(config.search.preset)))


def _tune_changed(plain: Plain, name: str, value: Any) -> Plain:
    if name == "reward":
        usual = tunes.preset(plain.get("preset", TrainConfig.preset)).rewards
        return plain | {"rewards": _climbing(plain.get("rewards", usual), value)}
    if name == "search.preset":
        return plain | {"search": {"preset": value}}
    if name.startswith("search."):
        return plain | {"search": plain.get("search", {}) | {name.removeprefix("search."): value}}
    return plain | {name: value}


def _tune_base(given: Mapping[str, Any], first: Mapping[str, Any]) -> Plain:
    """Whole, unless the preset is varied: then what was asked for, over whichever preset it is. Its seed is not used.

    It is not relabelled as a search is: a fine-tune asked for elsewhere keeps its search's name, and its digest.
    """
    plain = {"threads": default_threads()} | dict(given) | {"seed": 0}
    whole = tunes.to_dict(tunes.from_dict(FINE_TUNES.changed(plain, first)))
    if "preset" not in first:
        return whole
    kept = {name: value for name, value in plain.items() if name not in first}
    return {name: whole[name] for name in _SAME_FOR_PRESETS} | kept


SEARCHES = Kind(
    name="session",
    column="session",
    settings=(
        *("preset", "reward", "model", "num_steps", "guidance_scale", "step_kind", "noise_level"),
        *("window_min", "window_max", "search_initial", "search.num_candidates", "search.num_iterations"),
        *("search.elite_fraction", "search.reading", "search.result", "search.selection", "search.min_std"),
        *("search.algorithm", "estimator", "estimator_steps", "reward_sum"),
    ),
    change=_search_changed,
    base=_search_base,
    config=_search_config,
    plain=searches.to_dict,
    digest=searches.config_hash,
    preset=lambda base: str(base.get("search", {}).get("preset", SearchConfig.preset)),
)
FINE_TUNES = Kind(
    name="train",
    column="fine_tune",
    settings=(
        *("preset", "reward", "model", "learning_rate", "noise_source", "searched_fraction", "group_size"),
        *("prompts_per_epoch", "epochs", "noise_level", "step_kind", "sde_window", "window_min", "window_max"),
        *("share_start", "num_steps", "guidance_scale", "updates_per_epoch", "kl_beta", "clip_range"),
        *("advantage_std", "advantage_clip", "max_grad_norm", "weight_decay", "lora_rank", "lora_alpha", "ema"),
        *("ema_decay", "search.preset", "search.num_candidates", "search.num_iterations"),
        *("search.elite_fraction", "search.reading", "search.result", "search.selection", "search.min_std"),
    ),
    change=_tune_changed,
    base=_tune_base,
    config=tunes.from_dict,
    plain=tunes.to_dict,
    digest=tunes.config_hash,
    preset=lambda base: str(base.get("preset", TrainConfig.preset)),
)
KINDS = {kind.name: kind for kind in (SEARCHES, FINE_TUNES)}


def kind_of(name: Any) -> Kind:
    """A kind by its records' name. Raises ConfigError."""
    if not isinstance(name, str) or name not in KINDS:
        raise ConfigError({"of": f"expected one of {', '.join(KINDS)}, got {name!r:.60}"})
    return KINDS[name]
