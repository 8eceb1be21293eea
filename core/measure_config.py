"""What a reliability measurement is asked to do. Standard library only: the web process validates it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from core import config as settings
from core.config import ExploreConfig
from core.errors import ConfigError

Estimate = Literal["literal", "sde", "2-step", "3-step", "5-step", "heun", "mean-of-3"]
ESTIMATES: tuple[Estimate, ...] = get_args(Estimate)
ESTIMATE_HELP: dict[Estimate, str] = {
    "literal": "One step from the perturbed latents at the same noise level, as the paper prints it.",
    "sde": "One step from where the sampler really goes with the noise.",
    "2-step": "Two Euler steps from there.",
    "3-step": "Three Euler steps from there.",
    "5-step": "Five Euler steps from there.",
    "heun": "One step of Heun's method from there: the mean of the velocities at both ends.",
    "mean-of-3": "The mean reward of three one-step guesses, each after a further random step.",
}
START_RANGE = (0.01, 0.99)
NUM_MEAN = 3  # guesses in "mean-of-3"
MAX_PROMPTS, MAX_SEEDS, MAX_SIBLINGS, MAX_ROWS = 200, 50, 256, 1_000


@dataclass(frozen=True)
class MeasureConfig:
    """K siblings from one latent, at every step of one trajectory for each prompt and seed.

    `base` holds model, sampler and rewards (its prompt, seed, search and arms are not used). `steps` are the timesteps
    measured, None for all but the last. With `start_sigma` the trajectory starts at that noise level, from a picture
    under noise, and takes its steps from there; None starts with noise alone.
    """

    prompts: tuple[str, ...]
    base: ExploreConfig = field(default_factory=lambda: ExploreConfig("-"))
    seeds: tuple[int, ...] = (0,)
    num_siblings: int = 16
    num_elites: int = 2
    estimates: tuple[Estimate, ...] = ("literal", "sde")
    steps: tuple[int, ...] | None = None
    start_sigma: float | None = None

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """The timesteps to measure. The last one goes to sigma 0, where the estimate is the truth by construction."""
        return tuple(range(self.base.num_steps - 1)) if self.steps is None else tuple(sorted(self.steps))

    @property
    def pairs(self) -> list[tuple[str, int]]:
        """The rows: prompts outer, seeds inner."""
        return [(prompt, seed) for prompt in self.prompts for seed in self.seeds]

    @property
    def optimised(self) -> str:
        """What a search would climb: the only reward with a weight, where that is positive; else the sum, `total`."""
        climbed = [(name, weight) for name, weight in self.base.rewards.items() if weight]
        return climbed[0][0] if len(climbed) == 1 and climbed[0][1] > 0 else "total"

    @property
    def held_out(self) -> tuple[str, ...]:
        """The rewards that are only watched."""
        return tuple(name for name, weight in self.base.rewards.items() if not weight)

    @property
    def primary(self) -> Estimate:
        """The estimate that a search would use: where the sampler goes, else the paper's, else the first."""
        known: tuple[Estimate, ...] = ("sde", "literal")
        return next((name for name in known if name in self.estimates), self.estimates[0])

    def is_trivial(self, estimate: Estimate, step: int) -> bool:
        """Whether an estimate is the truth by construction, so that its agreement says nothing.

        At the last step there is nothing left to guess. One step before, the ODE has a single Euler step to go from
        where the sampler goes: that is the one-step guess itself.
        """
        left = self.base.num_steps - 1 - step
        return left == 0 or (left == 1 and estimate == "sde")

    def of_row(self, prompt: str, seed: int) -> ExploreConfig:
        """The sampler's settings for one prompt and seed."""
        return replace(self.base, prompt=prompt, seed=seed)


def problems_of(config: MeasureConfig) -> dict[str, str]:
    """Everything wrong with a config, by field; empty when it can run."""
    found: dict[str, str] = {}
    if not 1 <= len(config.prompts) <= MAX_PROMPTS:
        found["prompts"] = f"expected 1 to {MAX_PROMPTS} prompts, got {len(config.prompts)}"
    for number, prompt in enumerate(config.prompts, 1):
        problem = settings.problems_of(replace(config.base, prompt=prompt)).get("prompt")
        if problem:
            found["prompts"] = f"line {number}: {problem}"
    if "prompts" not in found and len(set(config.prompts)) != len(config.prompts):
        found["prompts"] = "expected every prompt once"
    for seed in config.seeds:
        problem = settings.problems_of(replace(config.base, prompt="-", seed=seed)).get("seed")
        if problem:
            found["seeds"] = problem
    if "seeds" not in found and not 1 <= len(set(config.seeds)) == len(config.seeds) <= MAX_SEEDS:
        found["seeds"] = f"expected 1 to {MAX_SEEDS} different seeds, got {len(config.seeds)}"
    if not found and len(config.pairs) > MAX_ROWS:
        found["seeds"] = f"expected at most {MAX_ROWS:,} prompts times seeds, got {len(config.pairs):,}"
    if not _whole(config.num_siblings, 2, MAX_SIBLINGS):
        found["num_siblings"] = f"expected a whole number from 2 to {MAX_SIBLINGS}, got {config.num_siblings!r:.60}"
    elif not _whole(config.num_elites, 1, config.num_siblings):
        found["num_elites"] = f"expected a whole number from 1 to num_siblings, got {config.num_elites!r:.60}"
    if not config.estimates or any(one not in ESTIMATES for one in config.estimates):
        found["estimates"] = f"expected some of {', '.join(ESTIMATES)}, got {config.estimates!r:.60}"
    elif len(set(config.estimates)) != len(config.estimates):
        found["estimates"] = f"expected every estimate once, got {config.estimates!r:.60}"
    if config.start_sigma is not None and not _between(config.start_sigma, *START_RANGE):
        low, high = START_RANGE
        found["start_sigma"] = f"expected a number from {low:g} to {high:g} or nothing, got {config.start_sigma!r:.60}"
    base = settings.problems_of(replace(config.base, prompt="-", seed=0))
    if base:
        found |= base
    elif config.base.step_kind == "ode":
        found["step_kind"] = "an ode step has no siblings to compare: expected sde, cps or dance"
    elif config.steps is not None:
        known = config.steps and all(_whole(step, 0, config.base.num_steps - 1) for step in config.steps)
        if not known or len(set(config.steps)) != len(config.steps):
            found["steps"] = (
                f"expected timesteps from 0 to {config.base.num_steps - 1}, each once, got {config.steps!r:.60}"
            )
    return found


def validate(config: MeasureConfig) -> MeasureConfig:
    """Return the config, or raise ConfigError with every problem."""
    problems = problems_of(config)
    if problems:
        raise ConfigError(problems)
    return config


def to_dict(config: MeasureConfig) -> dict[str, Any]:
    """Plain JSON values; `from_dict` inverts it."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}
    return plain | {"base": settings.to_dict(config.base)}


def from_dict(plain: Any) -> MeasureConfig:
    """Read and validate a config; wrong types and unknown fields raise ConfigError."""
    if not isinstance(plain, Mapping):
        raise ConfigError({"config": f"expected an object, got {plain!r:.60}"})
    values = dict(plain)
    unknown = values.keys() - MeasureConfig.__dataclass_fields__.keys()
    if unknown or "prompts" not in values:
        raise ConfigError({str(name): "is not a setting" for name in unknown} or {"prompts": "expected some prompts"})
    base = values.pop("base", None)
    for name in ("prompts", "seeds", "estimates", "steps"):
        if name in values and not (name == "steps" and values[name] is None):
            if not isinstance(values[name], list | tuple):
                raise ConfigError({name: f"expected a list, got {values[name]!r:.60}"})
            values[name] = tuple(values[name])
    if base is not None:
        values["base"] = settings.from_dict(base)
    return validate(MeasureConfig(**settings.with_floats(MeasureConfig, values)))


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _between(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
