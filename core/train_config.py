"""What a fine-tune is asked to do. Standard library only: the web process validates it."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from core import config as settings
from core.config import DEFAULT_NOISE_LEVEL, ExploreConfig, SearchConfig, StepKind
from core.errors import ConfigError
from core.rewards.degrade import read_degraded
from core.schedule import in_window

NoiseSource = Literal["random", "search", "best_of_k"]
AdvantageStd = Literal["batch", "prompt"]
NOISE_SOURCES: tuple[NoiseSource, ...] = get_args(NoiseSource)
ADVANTAGE_STDS: tuple[AdvantageStd, ...] = get_args(AdvantageStd)
REFERENCE_DIMENSION = 65_536  # of the latents (16 x 64 x 64) that Flow-GRPO's clip range of 1e-4 was tuned at
MAX_PROMPTS = 5_000


@dataclass(frozen=True)
class TrainConfig:
    """One fine-tune by GRPO. The defaults are the preset `flow-grpo`, cut to a quarter of an hour on one core.

    A noise has many more dimensions than a reward, so that one picture teaches next to nothing: hence many pictures an
    update, of shared starts, and one stochastic step, early, where it decides what the picture shows. What is learned
    is learned for the sampler that drew it: it is judged with as many steps.

    `rewards` maps a reward's name to its weight in the trained sum; weight 0 only watches. With `sde_window` n each
    epoch draws n consecutive steps among those whose sigma lies in [`window_min`, `window_max`]: these are stochastic
    and trained, the others follow the ODE. Without it every step but the last is stochastic and trained, and a search
    runs at those inside the window. `prompts` (one's own) take the place of `prompt_set` where there are any.
    """

    preset: str = "flow-grpo"
    model: str = "shapes-sd3"
    seed: int = 0
    threads: int = 1
    epochs: int = 240
    prompt_set: str = "shapes-train"
    prompts: tuple[str, ...] = ()
    eval_prompts: int = 120
    rewards: Mapping[str, float] = field(default_factory=lambda: {"shapes-verifier": 1.0, "shapes-clip": 1.0})
    prompts_per_epoch: int = 4
    group_size: int = 24
    share_start: bool = True
    updates_per_epoch: int = 1
    num_steps: int = 6
    eval_steps: int = 6
    guidance_scale: float = 1.0
    step_kind: StepKind = "sde"
    noise_level: float | None = None
    sde_window: int | None = 1
    window_min: float = 0.85
    window_max: float = 0.95
    noise_source: NoiseSource = "random"
    search: SearchConfig = field(default_factory=SearchConfig)
    searched_fraction: float = 1.0
    learning_rate: float = 6e-4
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    clip_range: float | None = None
    advantage_clip: float = 5.0
    advantage_std: AdvantageStd = "batch"
    kl_beta: float = 0.0
    lora_rank: int = 8
    lora_alpha: float = 16.0
    ema: bool = True
    ema_decay: float = 0.95
    micro_batch: int = 48
    gradient_checkpointing: bool = False
    eval_every: int = 40
    sample_every: int = 40
    watch_every: int = 0
    checkpoint_every: int = 20
    max_seconds: float | None = None

    @property
    def effective_noise_level(self) -> float:
        """The noise level asked for, or the step kind's default."""
        return DEFAULT_NOISE_LEVEL[self.step_kind] if self.noise_level is None else self.noise_level

    @property
    def searched_members(self) -> int:
        """How many members of each group get a noise that was chosen; they come first. None from a random source."""
        if self.noise_source == "random":
            return 0
        return math.floor(self.searched_fraction * self.group_size + 0.5)

    @property
    def climbed(self) -> dict[str, float]:
        """The rewards that are trained, with their weights."""
        return {name: weight for name, weight in self.rewards.items() if weight}

    def clip_for(self, dimension: int) -> float:
        """The clip range asked for, or Flow-GRPO's brought to latents of `dimension` numbers.

        An averaged log-ratio spreads like 1/sqrt(d), so 1e-4 sqrt(65,536 / d).
        """
        return 1e-4 * math.sqrt(REFERENCE_DIMENSION / dimension) if self.clip_range is None else self.clip_range

    def of_member(self, prompt: str, seed: int) -> ExploreConfig:
        """One member's trajectory as a session: the sampler's settings, the rewards and the search, without arms."""
        return ExploreConfig(
            prompt=prompt,
            seed=seed,
            model=self.model,
            num_steps=self.num_steps,
            guidance_scale=self.guidance_scale,
            step_kind=self.step_kind,
            noise_level=self.noise_level,
            window_min=self.window_min,
            window_max=self.window_max,
            search=self.search,
            rewards=dict(self.rewards),
            arms=(),
            batch_size=self.micro_batch,
            threads=self.threads,
        )


# A searched picture costs dozens of evaluations: fewer pictures an epoch, none of them from a shared start, two updates
# as published, and the stochastic step placed anew over the range where guesses begin to tell how a picture ends.
_SEARCHED: dict[str, Any] = {
    "epochs": 40,
    "prompts_per_epoch": 8,
    "group_size": 6,
    "share_start": False,
    "updates_per_epoch": 2,
    "eval_steps": 20,
    "window_min": 0.55,
    "window_max": 0.9,
    "learning_rate": 3e-4,
    "lora_rank": 16,
    "lora_alpha": 32.0,
    "micro_batch": 24,
}
TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "flow-grpo": {},
    "flow-grpo-all-steps": {**_SEARCHED, "num_steps": 10, "sde_window": None},
    "smart-grpo": {**_SEARCHED, "noise_source": "search"},
    "smart-grpo-half": {**_SEARCHED, "noise_source": "search", "searched_fraction": 0.5},
    "best-of-k": {**_SEARCHED, "noise_source": "best_of_k"},
    "sd3.5-flow-grpo": {
        "model": "sd3.5-medium",
        "epochs": 360,
        "prompt_set": "general",
        "rewards": {"clip-vit-large": 1.0},
        "prompts_per_epoch": 48,
        "group_size": 24,
        "share_start": False,
        "updates_per_epoch": 2,
        "num_steps": 10,
        "eval_steps": 40,
        "guidance_scale": 4.5,
        "sde_window": None,
        "window_min": 0.3,
        "window_max": 0.8,
        "kl_beta": 0.01,
        "learning_rate": 3e-4,
        "lora_rank": 32,
        "lora_alpha": 64.0,
        "ema_decay": 0.9,
        "eval_every": 60,
        "sample_every": 60,
        "micro_batch": 4,
        "gradient_checkpointing": True,
    },
}

# Lowest and highest value, whether it is a whole number, and whether nothing (None) may stand there.
_NUMBERS: dict[str, tuple[float, float, bool, bool]] = {
    "epochs": (1, 100_000, True, False),
    "eval_prompts": (1, 2_000, True, False),
    "prompts_per_epoch": (1, 512, True, False),
    "group_size": (2, 256, True, False),
    "updates_per_epoch": (1, 16, True, False),
    "eval_steps": (1, settings.MAX_STEPS, True, False),
    "sde_window": (1, settings.MAX_STEPS - 1, True, True),
    "searched_fraction": (0, 1, False, False),
    "learning_rate": (1e-8, 1, False, False),
    "weight_decay": (0, 1, False, False),
    "max_grad_norm": (1e-6, 1e6, False, False),
    "clip_range": (1e-8, 1, False, True),
    "advantage_clip": (0.1, 1e3, False, False),
    "kl_beta": (0, 100, False, False),
    "lora_rank": (1, 512, True, False),
    "lora_alpha": (0.01, 4_096, False, False),
    "ema_decay": (0, 0.99999, False, False),
    "micro_batch": (1, 1_024, True, False),
    "eval_every": (0, 100_000, True, False),
    "sample_every": (0, 100_000, True, False),
    "watch_every": (0, 100_000, True, False),
    "checkpoint_every": (0, 100_000, True, False),
    "max_seconds": (1, 1e7, False, True),
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "preset": tuple(TRAIN_PRESETS),
    "noise_source": NOISE_SOURCES,
    "advantage_std": ADVANTAGE_STDS,
    "share_start": (True, False),
    "ema": (True, False),
    "gradient_checkpointing": (True, False),
}


def preset(name: Any) -> TrainConfig:
    """The config of a preset. Raises ConfigError for a name that is none."""
    if not isinstance(name, str) or name not in TRAIN_PRESETS:
        raise ConfigError({"preset": f"expected one of {', '.join(TRAIN_PRESETS)}, got {name!r:.60}"})
    return replace(TrainConfig(), preset=name, **TRAIN_PRESETS[name])


def problems_of(config: TrainConfig) -> dict[str, str]:
    """Everything wrong with a config, by field ("search.num_candidates"); empty when it can run."""
    problems = {name: text for name in _NUMBERS if (text := _number_problem(name, getattr(config, name)))}
    for name, choices in _CHOICES.items():
        value = getattr(config, name)
        if not isinstance(value, str | bool) or value not in choices:
            problems[name] = f"expected one of {', '.join(map(_word, choices))}, got {value!r:.60}"
    if not isinstance(config.prompt_set, str) or not 0 < len(config.prompt_set) <= 200:
        problems["prompt_set"] = f"expected a name, got {config.prompt_set!r:.60}"
    if problem := _prompts_problem(config):
        problems["prompts"] = problem
    # A member's trajectory is a session; where nothing is searched a step without noise is named below.
    problems |= settings.problems_of(config.of_member("-", config.seed))
    if "micro_batch" in problems:
        problems.pop("batch_size", None)
    return problems or _contradictions(config)


def _contradictions(config: TrainConfig) -> dict[str, str]:
    """What cannot be wanted together, of settings that are each in range."""
    problems = {}
    if config.step_kind == "ode":
        problems["step_kind"] = "an ode step has no noise to learn from: expected sde, cps or dance"
    if config.updates_per_epoch > config.prompts_per_epoch:
        given = f"{config.updates_per_epoch} for {config.prompts_per_epoch} prompts"
        problems["updates_per_epoch"] = f"expected at most one update a prompt of an epoch, got {given}"
    if config.sde_window is not None and config.sde_window > config.num_steps - 1:
        problems["sde_window"] = (
            f"expected at most {config.num_steps - 1} steps: the last of {config.num_steps} is free"
        )
    if config.noise_source == "search" and not config.search.num_iterations:
        problems["noise_source"] = "the preset no-search searches nothing: expected random, or another search"
    if worse := [name for name in config.rewards if read_degraded(name)]:
        problems["rewards"] = f"{worse[0]} is worse only where a search ranks candidates: expected rewards as they are"
    return problems


def windows(config: TrainConfig, sigmas: tuple[float, ...]) -> tuple[tuple[int, ...], ...]:
    """Every choice of steps that an epoch may make stochastic and train, for a schedule (num_steps + 1 sigmas).

    Raises ConfigError where no `sde_window` consecutive steps lie in the window.
    """
    if config.sde_window is None:
        return (tuple(range(config.num_steps - 1)),)
    inside = in_window(sigmas, config.window_min, config.window_max)
    starts = range(len(inside) - config.sde_window + 1)
    found = tuple(tuple(range(s, s + config.sde_window)) for s in starts if all(inside[s : s + config.sde_window]))
    if not found:
        given = f"{sum(inside)} between {config.window_min:g} and {config.window_max:g}"
        raise ConfigError({"sde_window": f"expected at most as many steps as the window holds, got {given}"})
    return found


def validate(config: TrainConfig) -> TrainConfig:
    """Return the config, or raise ConfigError with every problem."""
    if problems := problems_of(config):
        raise ConfigError(problems)
    return config


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Plain JSON values; `from_dict` inverts it."""
    return asdict(config) | {"rewards": dict(config.rewards), "prompts": list(config.prompts)}


def from_dict(plain: Any) -> TrainConfig:
    """Read and validate a config: what it does not name is as in its preset. Wrong types and names: ConfigError."""
    if not isinstance(plain, Mapping):
        raise ConfigError({"config": f"expected an object, got {plain!r:.60}"})
    values = dict(plain)
    base = preset(values.get("preset", TrainConfig.preset))
    search = values.pop("search", {})
    if not isinstance(search, Mapping):
        raise ConfigError({"search": f"expected an object, got {search!r:.60}"})
    unknown = {f"search.{key}": "is not a setting" for key in search if key not in SearchConfig.__dataclass_fields__}
    unknown |= {str(key): "is not a setting" for key in values if key not in TrainConfig.__dataclass_fields__}
    if unknown:
        raise ConfigError(unknown)
    if isinstance(values.get("prompts"), list):
        values["prompts"] = tuple(values["prompts"])
    named = search.get("preset")
    start = settings.PRESETS[named] if isinstance(named, str) and named in settings.PRESETS else base.search
    values, search = settings.with_floats(TrainConfig, values), settings.with_floats(SearchConfig, search)
    return validate(replace(base, **values, search=replace(start, **search)))


def config_hash(config: TrainConfig) -> str:
    """A short digest of everything that decides the trained weights; how often one looks at them does not."""
    plain = to_dict(config)
    for name in ("preset", "eval_every", "sample_every", "watch_every", "checkpoint_every", "max_seconds"):
        del plain[name]
    if config.noise_source == "random":
        del plain["search"], plain["searched_fraction"]
    del plain["eval_steps"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _number_problem(name: str, value: Any) -> str | None:
    low, high, whole, optional = _NUMBERS[name]
    if value is None and optional:
        return None
    accepted = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        return f"expected {kind} from {low:,} to {high:,}{' or nothing' if optional else ''}, got {value!r:.60}"
    return None


def _prompts_problem(config: TrainConfig) -> str | None:
    given: Any = config.prompts
    if not isinstance(given, tuple) or len(given) > MAX_PROMPTS:
        count = len(given) if isinstance(given, tuple) else repr(given)[:60]
        return f"expected at most {MAX_PROMPTS:,} prompts, got {count}"
    for number, prompt in enumerate(given, 1):
        if problem := settings.problems_of(ExploreConfig(prompt)).get("prompt"):
            return f"line {number}: {problem}"
    if len(set(given)) != len(given):
        return "expected every prompt once"
    return None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
