"""The form of page Explore: its fields, their help, and the way between what is filled in and a config."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core import config
from core.config import PRESETS, ExploreConfig, SearchConfig


@dataclass(frozen=True)
class Field:
    """One field: its name in the config, its label, and one sentence of help."""

    name: str
    label: str
    help: str
    advanced: bool = True


FIELDS: tuple[Field, ...] = (
    Field("prompt", "Prompt", "What the picture should show.", advanced=False),
    Field("preset", "Preset", "A way of searching; its settings are under Advanced.", advanced=False),
    Field("model", "Model", "The model that draws.", advanced=False),
    Field("reward", "Reward", "The score that the search climbs.", advanced=False),
    Field("seed", "Seed", "Fixes every random number: the same seed and settings give the same pictures."),
    Field("num_steps", "Steps", "How many steps lead from noise to the picture."),
    Field("guidance_scale", "Guidance", "How hard the prompt pulls; above 1 each velocity costs two evaluations."),
    Field(
        "step_kind",
        "Step kind",
        "How noise enters a step: sde as in the paper, cps without excess noise, ode none at all.",
    ),
    Field("noise_level", "Noise level", "How much noise a step adds; empty takes the step kind's usual level."),
    Field("window_min", "Search from σ", "Steps whose noise level σ is below this are not searched."),
    Field("window_max", "Search up to σ", "Steps above this are not searched: there a one-step guess says little."),
    Field("search.num_candidates", "Candidates (K)", "How many noises are tried in one iteration."),
    Field(
        "search.num_iterations",
        "Iterations (N)",
        "How many times candidates are drawn, each time from the best before.",
    ),
    Field("search.elite_fraction", "Elite fraction (P)", "The share of each iteration that is kept: .48 of 5 keeps 2."),
    Field(
        "search.reading",
        "Reading",
        "Where a noise is scored: literal as the paper prints it, sde where the sampler really goes.",
    ),
    Field(
        "search.result",
        "Result",
        "Which noise is used in the end: the mean of the elites, a sample, the best one, or the mean at full size.",
    ),
    Field("estimator", "Estimate", "How the final picture is guessed for scoring: one step, a few, or the whole way."),
    Field("estimator_steps", "Estimate steps", "How many steps a k-step estimate takes; the others do not use it."),
    Field(
        "watched",
        "Watched rewards",
        "Scored beside the optimised one and never searched on: a check that it was not fooled.",
    ),
    Field("arms", "Compare with", "Other ways to a picture from the same start or for the same cost."),
)
BY_NAME = {field.name: field for field in FIELDS}
NAMES = tuple(field.name for field in FIELDS)

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
_PLAIN = set(NAMES) - _SEARCH - {"preset", "reward", "watched", "arms"}


def to_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a filled form asks for: plain values, not yet checked.

    A preset's name stays only while its settings are untouched.
    """
    name = str(values["preset"])
    base = PRESETS.get(name, SearchConfig(name))
    search = replace(base, **{field.removeprefix("search."): _plain_number(values[field]) for field in _SEARCH})
    if search != base:
        search = replace(search, preset=f"{name}, changed")
    watched = [one for one in values["watched"] or [] if one != values["reward"]]
    return {
        **{field: _plain_number(values[field]) for field in _PLAIN},
        "search": vars(search),
        "rewards": {values["reward"]: 1.0, **dict.fromkeys(watched, 0.0)} if values["reward"] else {},
        "arms": [arm for arm in config.ARMS if arm in (values["arms"] or [])],
    }


def from_config(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The form filled as for a stored session's config."""
    c = config.from_dict(plain)
    optimised = max(c.rewards, key=lambda name: abs(c.rewards[name]))
    return {
        **{field: getattr(c, field) for field in _PLAIN},
        **{field: getattr(c.search, field.removeprefix("search.")) for field in _SEARCH},
        "preset": c.search.preset.removesuffix(", changed"),
        "reward": optimised,
        "watched": [name for name in c.rewards if name != optimised],
        "arms": list(c.arms),
    }


def defaults() -> dict[str, Any]:
    """The form as a first visit without any session finds it."""
    return from_config(config.to_dict(ExploreConfig(EXAMPLES[0])))


def preset_values(name: str) -> dict[str, Any]:
    """The search settings that a preset stands for; none for a name that is not a preset."""
    search = PRESETS.get(name)
    return (
        {field: getattr(search, field.removeprefix("search.")) for field in NAMES if field in _SEARCH} if search else {}
    )


def explain(problems: Mapping[str, str]) -> list[dict[str, Any]]:
    """Problems for people: where, and what is expected, with the label that stands beside the field."""
    listed = []
    for name, text in problems.items():
        field = BY_NAME.get("reward" if name == "rewards" else name)
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
