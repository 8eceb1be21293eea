"""The form of page Explore: its fields, their help, and the way between what is filled in and a config."""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.reuse import labelled, preset_of, usual
from app.weights import read_weights, write_weights
from core import config
from core.config import FIELD_HELP, PRESETS, SearchConfig
from core.errors import ConfigError
from core.rewards.degrade import read_degraded
from core.search.registry import ALGORITHMS


@dataclass(frozen=True)
class Field:
    """One field: its name in the config, its label, one sentence of help, and how it is filled in."""

    name: str
    label: str
    kind: Literal["text", "number", "flag", "choice", "many"] = "number"
    advanced: bool = True

    @property
    def help(self) -> str:
        """What the field is for."""
        return HELP[self.name]

    @property
    def element(self) -> str:
        """The id of its element in the page."""
        return f"field-{self.name.replace('.', '-')}"


HELP = FIELD_HELP | {
    "preset": "A way of searching; its settings are under Advanced.",
    "reward": "The score that the search climbs.",
    "weights": "Empty: the reward above alone. Or several with their weights, such as shapes-clip 1, "
    "jpeg-compressibility 0.5: their sum is climbed. With ~0.6 behind its name, a reward ranks candidates with so much "
    "noise that a rank correlation of .6 with it is left.",
    "watched": "Scored beside what is climbed and never searched on: a check that it was not fooled.",
}
FIELDS: tuple[Field, ...] = (
    Field("prompt", "Prompt", "text", advanced=False),
    Field("preset", "Preset", "choice", advanced=False),
    Field("model", "Model", "choice", advanced=False),
    Field("reward", "Reward", "choice", advanced=False),
    Field("weights", "Several rewards", "text"),
    Field("reward_sum", "Sum of rewards", "choice"),
    Field("watched", "Watched rewards", "many"),
    Field("seed", "Seed"),
    Field("num_steps", "Steps"),
    Field("guidance_scale", "Guidance"),
    Field("step_kind", "Step kind", "choice"),
    Field("noise_level", "Noise level"),
    Field("window_min", "Search from \u03c3"),
    Field("window_max", "Search up to \u03c3"),
    Field("search_initial", "Search the starting noise", "flag"),
    Field("search.num_candidates", "Candidates (K)"),
    Field("search.num_iterations", "Iterations (N)"),
    Field("search.elite_fraction", "Elite fraction (P)"),
    Field("search.reading", "Reading", "choice"),
    Field("search.result", "Result", "choice"),
    Field("search.selection", "Selection", "choice"),
    Field("search.min_std", "Least spread"),
    Field("search.algorithm", "Algorithm", "choice"),
    Field("estimator", "Estimate", "choice"),
    Field("estimator_steps", "Estimate steps"),
    Field("arms", "Compare with", "many"),
    Field("batch_size", "Batch size"),
    Field("threads", "Threads"),
)
BY_NAME = {field.name: field for field in FIELDS}
NAMES = tuple(field.name for field in FIELDS)
# Choices that the lab offers, by what it calls their kind.
OFFERED = {"preset": "presets", "model": "models", "reward": "rewards"}
CHOICES: dict[str, tuple[str, ...]] = {
    "step_kind": config.STEP_KINDS,
    "search.reading": config.READINGS,
    "search.result": config.RESULT_MODES,
    "search.selection": config.SELECTIONS,
    "estimator": config.ESTIMATORS,
    "reward_sum": config.REWARD_SUMS,
}

EXAMPLES = (
    "a photo of a red circle left of a blue star",
    "a photo of two green triangles",
    "a photo of a yellow star above a purple square",
    "a photo of a black square and a red star",
    "a photo of three blue circles",
)
ARM_LABELS = {
    "no_search": "No search",
    "ode": "ODE, no noise",
    "random_elites": "Random elites",
    "best_of_sde": "Best of many, same start",
    "best_of_seed": "Best of many, fresh starts",
}
_SEARCH = {name for name in NAMES if name.startswith("search.")}
_PLAIN = set(NAMES) - _SEARCH - {"preset", "reward", "weights", "watched", "arms"}


def to_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a filled form asks for: plain values, whatever they are, not yet checked.

    A preset's name stays only while its settings are untouched. Raises ConfigError for what a config has no place for.
    """
    name = values["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError({"preset": f"expected one of {', '.join(PRESETS)}, got {reprlib.repr(name)}"})
    search = replace(
        PRESETS[name], **{field.removeprefix("search."): _plain_number(values[field]) for field in _SEARCH}
    )
    return {
        **{field: _plain_number(values[field]) for field in _PLAIN},
        "search": vars(labelled(search, name)),
        "rewards": _rewards(values["reward"], values["weights"], values["watched"]),
        "arms": _in_order(values["arms"]),
    }


def from_config(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The form filled as for a stored session's config. Raises ConfigError for one that is none."""
    c = config.from_dict(plain)
    climbed = {name: weight for name, weight in c.rewards.items() if weight}
    heaviest = max(climbed, key=lambda name: abs(climbed[name]))
    degraded = read_degraded(heaviest)
    reward = degraded.reward if degraded else heaviest  # only rewards as they are can be chosen from a list
    return {
        **{field: getattr(c, field) for field in _PLAIN},
        **{field: getattr(c.search, field.removeprefix("search.")) for field in _SEARCH},
        "preset": preset_of(c.search.preset),
        "reward": reward,
        "weights": "" if climbed == {reward: 1} else write_weights(climbed),
        "watched": [name for name in c.rewards if name not in climbed],
        "arms": list(c.arms),
    }


def defaults() -> dict[str, Any]:
    """The form as a first visit without any session finds it."""
    return from_config(config.to_dict(usual(SearchConfig.preset, EXAMPLES[0])))


def preset_values(name: str) -> dict[str, Any]:
    """The settings that a preset stands for, by field; none for a name that is not a preset."""
    if name not in PRESETS:
        return {}
    search = {field: getattr(PRESETS[name], field.removeprefix("search.")) for field in NAMES if field in _SEARCH}
    return search | config.preset_session(name)


FOLLOWS: dict[str, tuple[str, ...]] = {
    "preset": tuple(preset_values(SearchConfig.preset)),
    "model": ("guidance_scale",),
    "reward": ("weights",),
}


def fitted(values: Mapping[str, Any], offers: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values as this lab can show them, and in words what had to give way: choices that are not offered here."""
    fit, notes = dict(values), []
    for name, kind in OFFERED.items():
        if fit[name] not in {one["name"] for one in offers[kind]}:
            notes.append(f"{BY_NAME[name].label} {fit[name]!r:.60} is not known here: the usual one is chosen instead.")
            fit[name] = defaults()[name]
    known = {one["name"] for one in offers["rewards"]}
    unknown = [name for name in fit["watched"] if name not in known]
    if unknown:
        notes.append(f"Watched rewards that are not known here are left out: {', '.join(unknown)[:200]}.")
        fit["watched"] = [name for name in fit["watched"] if name in known]
    if fit["search.algorithm"] not in ALGORITHMS:
        notes.append(f"The search {fit['search.algorithm']!r:.60} is not known here: the usual one is chosen instead.")
        fit["search.algorithm"] = SearchConfig.algorithm
    return fit, notes


def filling(values: Mapping[str, Any], offers: Mapping[str, Any]) -> dict[str, Any]:
    """What the page fills the form with: values by field, help that goes with the choices, and notes in words.

    `choices` are of the models: one may have been trained since the page was built.
    """
    fit, notes = fitted(values, offers)
    told = {name: help_of(offers[kind], fit[name]) for name, kind in OFFERED.items()}
    return {"values": fit, "info": told, "notes": notes, "choices": {"model": titled(offers["models"])}}


def titled(offered: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(title, name) of what can be chosen; what cannot run here says so in its title."""
    return [(one["title"] if one["usable"] else f"{one['title']} (cannot run here)", one["name"]) for one in offered]


def help_of(offered: Iterable[Mapping[str, Any]], name: str) -> str:
    """What an option is, and why it cannot be used here where it cannot; empty for one that is not offered."""
    for one in offered:
        if one["name"] == name:
            return " ".join(filter(None, (one["help"], one["why_not"])))
    return ""


def explain(problems: Mapping[str, str]) -> list[dict[str, Any]]:
    """Problems for people: where, and what is expected, with the label that stands beside the field."""
    listed = []
    for name, text in problems.items():
        field = BY_NAME.get({"rewards": "reward", "search.preset": "preset"}.get(name, name))
        words = text.replace("got None", "got nothing").replace("search.", "")
        listed.append(
            {
                "field": field.name if field else None,
                "label": field.label if field else name,
                "advanced": bool(field and field.advanced),
                "text": words,
            }
        )
    return listed


def _plain_number(value: Any) -> Any:
    """10.0 from a number field is 10: whole numbers are checked as such, and 5.5 is not rounded behind one's back."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rewards(reward: Any, weights: Any, watched: Any) -> Any:
    """The rewards of a config: what is climbed, with weights, then what is only watched."""
    if weights not in (None, ""):
        if not isinstance(weights, str):
            raise ConfigError({"weights": f"expected text, got {type(weights).__name__}"})
        climbed = read_weights(weights)
    else:
        climbed = {reward: 1.0} if isinstance(reward, str) and reward else {}
    if not isinstance(watched or [], list) or not all(isinstance(name, str) for name in watched or []):
        raise ConfigError({"watched": "expected names of rewards"})
    return climbed | {name: 0.0 for name in watched or [] if name not in climbed}


def _in_order(arms: Any) -> Any:
    """Arms in their usual order; what are no arms stays as it is, to be told."""
    known = isinstance(arms, list) and all(arm in config.ARMS for arm in arms)
    return [arm for arm in config.ARMS if arm in arms] if known else arms or []


def choices_of(name: str) -> tuple[str, ...]:
    """What can be chosen in a folded field."""
    return tuple(ALGORITHMS) if name == "search.algorithm" else CHOICES[name]
