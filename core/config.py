"""What a session is asked to do: frozen dataclasses, their limits, and their JSON form.

Standard library only: the web process validates configs and never imports torch.
"""

import dataclasses
import hashlib
import json
import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

from core.errors import ConfigError

StepKind = Literal["sde", "cps", "dance", "ode"]
Reading = Literal["literal", "sde"]
ResultMode = Literal["mean", "sample", "best", "mean_on_shell"]
Selection = Literal["top", "random", "bottom"]
Estimator = Literal["one_step", "k_step", "full"]
RewardSum = Literal["raw", "normalised"]
Arm = Literal["no_search", "ode", "random_elites", "best_of_sde", "best_of_seed"]

STEP_KINDS: tuple[StepKind, ...] = get_args(StepKind)
READINGS: tuple[Reading, ...] = get_args(Reading)
RESULT_MODES: tuple[ResultMode, ...] = get_args(ResultMode)
SELECTIONS: tuple[Selection, ...] = get_args(Selection)
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
REWARD_SUMS: tuple[RewardSum, ...] = get_args(RewardSum)
ARMS: tuple[Arm, ...] = get_args(Arm)

DEFAULT_NOISE_LEVEL: dict[StepKind, float] = {"sde": 0.7, "cps": 0.8, "dance": 0.3, "ode": 0.0}

MAX_PROMPT = 2_000
MAX_CANDIDATES = 256
MAX_ITERATIONS = 64
MAX_STEPS = 100


@dataclass(frozen=True)
class SearchConfig:
    """One noise search at one step (the paper's algorithm 1): K candidates, N iterations, the best P K kept."""

    preset: str = "smart-grpo"
    num_candidates: int = 5
    num_iterations: int = 5
    elite_fraction: float = 0.48
    reading: Reading = "literal"
    result: ResultMode = "mean"
    selection: Selection = "top"
    min_std: float = 0.0
    algorithm: str = "cem"

    @property
    def num_elites(self) -> int:
        """T = floor(P K); the 1e-9 because floor(.29 * 100) is 28 in floats."""
        return math.floor(self.elite_fraction * self.num_candidates + 1e-9)


@dataclass(frozen=True)
class ExploreConfig:
    """A whole session: one prompt and seed, the sampler, where and how to search, what to watch and compare with.

    `rewards` maps a reward's name to its weight in the searched sum; weight 0 only watches. With `reward_sum`
    normalised each is standardised among an iteration's candidates to choose the elites; totals stay raw sums.

    The search runs at the steps whose sigma lies in [`window_min`, `window_max`]; with `search_initial` it begins with
    x_1 itself, at sigma 1.
    """

    prompt: str
    seed: int = 0
    model: str = "shapes-sd3"
    num_steps: int = 10
    guidance_scale: float = 4.5
    step_kind: StepKind = "sde"
    noise_level: float | None = None
    window_min: float = 0.3
    window_max: float = 0.8
    search_initial: bool = False
    search: SearchConfig = field(default_factory=SearchConfig)
    estimator: Estimator = "one_step"
    estimator_steps: int = 1
    rewards: Mapping[str, float] = field(default_factory=lambda: {"shapes-clip": 1.0, "shapes-verifier": 0.0})
    reward_sum: RewardSum = "raw"
    arms: tuple[Arm, ...] = ("no_search", "ode", "random_elites", "best_of_sde", "best_of_seed")
    batch_size: int = 32
    threads: int = 1

    @property
    def effective_noise_level(self) -> float:
        """The noise level asked for, or the step kind's default."""
        return DEFAULT_NOISE_LEVEL[self.step_kind] if self.noise_level is None else self.noise_level

    @property
    def searches_initial(self) -> bool:
        """Whether x_1 is searched: asked for, and by a preset that searches at all."""
        return self.search_initial and self.search.num_iterations > 0


PRESETS: dict[str, SearchConfig] = {
    "smart-grpo": SearchConfig("smart-grpo"),
    "smart-grpo-sde": SearchConfig("smart-grpo-sde", reading="sde"),
    "smart-grpo-gated": SearchConfig("smart-grpo-gated", num_candidates=11, reading="sde"),
    "one-shot": SearchConfig("one-shot", 25, 1, 0.48),
    "one-shot-on-shell": SearchConfig("one-shot-on-shell", 25, 1, 0.48, result="mean_on_shell"),
    "random-elites": SearchConfig("random-elites", selection="random"),
    "best-of-k": SearchConfig("best-of-k", 25, 1, 1 / 25, result="best"),
    "initial-noise": SearchConfig("initial-noise", 25, 1, 1 / 25, result="best"),
    "no-search": SearchConfig("no-search", 1, 0, 1.0),
}
# What a preset sets of the session besides its search, where that differs from a new session's; a window from 0 to 0
# has no step in it.
PRESET_SESSION: dict[str, dict[str, Any]] = {
    "initial-noise": {"search_initial": True, "window_min": 0.0, "window_max": 0.0, "estimator": "full"},
    "smart-grpo-gated": {"window_min": 0.46, "window_max": 0.8},  # measured on the embedded model, as the README tells
}

PRESET_HELP: dict[str, str] = {
    "smart-grpo": "The paper as printed: five rounds of five noises, the best two move the search.",
    "smart-grpo-sde": "The same search, scoring each noise where the sampler would really go with it.",
    "smart-grpo-gated": "smart-grpo-sde only where its guess was measured to rank; it costs what every step would.",
    "one-shot": "The paper's ablation: 25 noises once, the mean of the best 12 (only 29% of a real noise's size).",
    "one-shot-on-shell": "One-shot with the mean rescaled to the size a real noise has.",
    "random-elites": "A control: the same rounds, but blind: kept noises are drawn at random. A search must beat it.",
    "best-of-k": "25 noises once; the single best is used.",
    "initial-noise": "25 starting noises once, each followed to its end without further noise; the best is used.",
    "no-search": "Ordinary random noise at every step.",
}

# One sentence a setting, for the form and the command line alike.
FIELD_HELP: dict[str, str] = {
    "prompt": "What the picture should show.",
    "seed": "Fixes every random number: the same seed and settings give the same pictures.",
    "model": "The model that draws.",
    "num_steps": "How many steps lead from noise to the picture.",
    "guidance_scale": "How hard the prompt pulls; above 1 each velocity costs two evaluations.",
    "step_kind": "How noise enters a step: sde as in the paper, cps without excess noise, ode none at all.",
    "noise_level": "How much noise a step adds; empty takes the step kind's usual level.",
    "window_min": "Steps whose noise level σ is below this are not searched.",
    "window_max": "Steps above this are not searched: there a one-step guess says little.",
    "search_initial": "Search the starting noise as well, before the first step.",
    "search.preset": "A way of searching; its settings can be changed one by one.",
    "search.num_candidates": "How many noises are tried in one iteration.",
    "search.num_iterations": "How many times candidates are drawn, each time from the best before.",
    "search.elite_fraction": "The share of each iteration that is kept: .48 of 5 keeps 2.",
    "search.reading": "Where a noise is scored: literal as the paper prints it, sde where the sampler really goes.",
    "search.result": "Which noise is used in the end: the mean of the kept, a sample, the best, or the mean rescaled.",
    "search.selection": "Who is kept: top by reward; as controls random, which is blind, or bottom, the worst.",
    "search.min_std": "The search's spread never falls below this; 0 lets it collapse.",
    "search.algorithm": "What draws the candidates and learns from them: cem, or one that a plug-in brought.",
    "estimator": "How the final picture is guessed for scoring: one step, a few, or the whole way.",
    "estimator_steps": "How many steps a k-step estimate takes; the others do not use it.",
    "rewards": "What scores the pictures, with weights; weight 0 only watches.",
    "reward_sum": "How several rewards add up to who is kept: raw, or each normalised among an iteration's candidates.",
    "arms": "Other ways to a picture from the same start or for the same cost.",
    "batch_size": "How many pictures the model works on at once, at most.",
    "threads": "How many CPU threads the session uses; another number rounds differently.",
}


def preset_session(name: str) -> dict[str, Any]:
    """The settings outside `search` that a preset decides, the same ones for every preset."""
    usual = {name: getattr(ExploreConfig, name) for values in PRESET_SESSION.values() for name in values}
    return usual | PRESET_SESSION.get(name, {})


def _number(low: float, high: float, *, whole: bool = False) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        kind = "a whole number" if whole else "a number"
        accepted = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, accepted) or not low <= value <= high:
            return f"expected {kind} from {low:,} to {high:,}, got {_shown(value)}"
        return None

    return check


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return (
            None
            if isinstance(value, str) and value in choices
            else f"expected one of {', '.join(choices)}, got {_shown(value)}"
        )

    return check


_SHORTLY = reprlib.Repr()
_SHORTLY.maxstring = _SHORTLY.maxother = _SHORTLY.maxlong = 120


def _shown(value: Any) -> str:
    """A value in at most 60 characters; what is deep or long is not walked through for it."""
    text = _SHORTLY.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _prompt(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"expected text, got {_shown(value)}"
    if not value.strip():
        return 'expected a sentence such as "a photo of a red circle", got nothing'
    if len(value) > MAX_PROMPT:
        return f"expected at most {MAX_PROMPT} characters, got {len(value)}"
    if any(ch == "\0" or "\ud800" <= ch <= "\udfff" for ch in value):
        return "expected plain text, got a NUL or half of a surrogate pair"
    return None


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"expected true or false, got {_shown(value)}"


def _name(value: Any) -> str | None:
    return None if isinstance(value, str) and 0 < len(value) <= 200 else f"expected a name, got {_shown(value)}"


def _rewards(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= 8:
        return f"expected one to eight rewards with weights, got {_shown(value) if value else 'none'}"
    for name, weight in value.items():
        problem = _name(name) or _number(-1000, 1000)(weight)
        if problem:
            return f"{_shown(name)}: {problem}"
    return (
        None
        if any(value.values())
        else "expected at least one reward with a weight other than 0: something must be climbed"
    )


def _arms(value: Any) -> str | None:
    ok = isinstance(value, tuple) and all(arm in ARMS for arm in value) and len(set(value)) == len(value)
    return None if ok else f"expected some of {', '.join(ARMS)}, each once, got {_shown(value)}"


_SEARCH_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "preset": _name,
    "num_candidates": _number(1, MAX_CANDIDATES, whole=True),
    "num_iterations": _number(0, MAX_ITERATIONS, whole=True),
    "elite_fraction": _number(0, 1),
    "reading": _one_of(READINGS),
    "result": _one_of(RESULT_MODES),
    "selection": _one_of(SELECTIONS),
    "min_std": _number(0, 1),
    "algorithm": _name,
}
_EXPLORE_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "prompt": _prompt,
    "seed": _number(0, 2**31 - 1, whole=True),
    "model": _name,
    "num_steps": _number(2, MAX_STEPS, whole=True),
    "guidance_scale": _number(0, 30),
    "step_kind": _one_of(STEP_KINDS),
    "noise_level": lambda value: None if value is None else _number(0, 5)(value),
    "window_min": _number(0, 1),
    "window_max": _number(0, 1),
    "search_initial": _flag,
    "estimator": _one_of(ESTIMATORS),
    "estimator_steps": _number(1, 20, whole=True),
    "rewards": _rewards,
    "reward_sum": _one_of(REWARD_SUMS),
    "arms": _arms,
    "batch_size": _number(1, 1024, whole=True),
    "threads": _number(1, 64, whole=True),
}


def problems_of(config: ExploreConfig) -> dict[str, str]:
    """Everything wrong with a config, by field ("search.num_candidates"); empty when it can run."""
    found = {f"search.{name}": check(getattr(config.search, name)) for name, check in _SEARCH_CHECKS.items()}
    found |= {name: check(getattr(config, name)) for name, check in _EXPLORE_CHECKS.items()}
    problems = {name: text for name, text in found.items() if text}
    search = config.search
    if not problems and search.num_iterations and search.num_elites < 1:
        problems["search.elite_fraction"] = (
            "elite_fraction * num_candidates must be at least 1, "
            f"got floor({search.elite_fraction:g} * {search.num_candidates}) = {search.num_elites}"
        )
    if not problems and config.window_min > config.window_max:
        problems["window_min"] = f"expected at most window_max ({config.window_max:g}), got {config.window_min:g}"
    if not problems and config.reward_sum == "normalised" and search.result == "best":
        problems["reward_sum"] = "the best candidate is found by the raw sum: expected raw, or another result"
    only_initial = config.search_initial and config.window_max == 0
    if not problems and config.step_kind == "ode" and search.num_iterations and not only_initial:
        problems["step_kind"] = (
            "an ode step has no noise to search: expected sde, cps or dance, or the preset no-search or initial-noise"
        )
    return problems


def validate(config: ExploreConfig) -> ExploreConfig:
    """Return the config, or raise ConfigError with every problem."""
    problems = problems_of(config)
    if problems:
        raise ConfigError(problems)
    return config


def to_dict(config: ExploreConfig) -> dict[str, Any]:
    """Plain JSON values; `from_dict` inverts it."""
    plain = dataclasses.asdict(config)
    return plain | {"rewards": dict(config.rewards), "arms": list(config.arms)}


def with_floats(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with whole numbers as floats where the dataclass holds floats: 0 and 0.0 have one digest."""
    hints = _hints(kind)
    return {name: _as_float(value) if _is_float(hints.get(name)) else value for name, value in values.items()}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_float(hint: Any) -> bool:
    return hint in (float, float | None, Mapping[str, float])


def _as_float(value: Any) -> Any:
    """What is no number stays as it is, and so does one beyond every limit, for the checks to name."""
    if isinstance(value, Mapping):
        return {name: _as_float(one) for name, one in value.items()}
    return float(value) if type(value) is int and abs(value) < 2**53 else value


def from_dict(plain: Any) -> ExploreConfig:
    """Read and validate a config. Unknown fields, wrong types and values out of range raise ConfigError."""
    if not isinstance(plain, Mapping):
        raise ConfigError({"config": f"expected an object, got {_shown(plain)}"})
    values = dict(plain)
    search = values.pop("search", {})
    if not isinstance(search, Mapping):
        raise ConfigError({"search": f"expected an object, got {_shown(search)}"})
    unknown = {f"search.{k}": "is not a setting" for k in search if k not in _SEARCH_CHECKS}
    unknown |= {str(k): "is not a setting" for k in values if k not in _EXPLORE_CHECKS}
    if unknown:
        raise ConfigError(unknown)
    if "prompt" not in values:
        raise ConfigError({"prompt": "expected a sentence, got nothing"})
    if isinstance(values.get("arms"), list):
        values["arms"] = tuple(values["arms"])
    values, search = with_floats(ExploreConfig, values), with_floats(SearchConfig, search)
    return validate(ExploreConfig(**values, search=SearchConfig(**search)))


def config_hash(config: ExploreConfig) -> str:
    """A short digest of everything that decides the result.

    Settings that came later count only where they are used, so that a session keeps the digest it was stored with.
    """
    plain = to_dict(config)
    if not config.search_initial:
        del plain["search_initial"]
    if config.reward_sum == "raw":
        del plain["reward_sum"]
    if config.search.algorithm == SearchConfig.algorithm:
        del plain["search"]["algorithm"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
