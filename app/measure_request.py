"""What a page or a command line asks to be measured, as a config that can run here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from app.prompt_sets import prompts_of
from app.settings import default_threads
from app.trained import spec_of
from core.config import ExploreConfig, to_dict
from core.errors import ConfigError
from core.measure_config import MeasureConfig, from_dict
from core.models import registry as models
from core.rewards import registry as rewards

OWN = ("num_siblings", "num_elites", "estimates", "steps", "start_sigma")
SAMPLER = ("model", "num_steps", "guidance_scale", "step_kind", "noise_level", "batch_size", "threads")
FIELDS = frozenset({"prompts", "set", "seeds", "reward", "held_out", "rewards", "name", *OWN, *SAMPLER})


def read_request(body: Mapping[str, Any], usable: Callable[[str], tuple[bool, str]] = models.usable) -> MeasureConfig:
    """Read and check everything: raises ConfigError with every problem, by the body's own field.

    `prompts` is a list, or `set` names one that came with the lab; `seeds` a list or how many; `reward` is optimised
    and the rewards of `held_out` are watched (where it is not given: those of a usual session that can judge every
    prompt), or `rewards` maps names to weights. `usable` says whether a model can be loaded, and if not why.
    """
    unknown = {str(name)[:60]: "is not a setting" for name in body if name not in FIELDS}
    if unknown:
        raise ConfigError(unknown)
    prompts = _prompts(body)
    plain: dict[str, Any] = {name: body[name] for name in OWN if name in body}
    sampler = {name: body[name] for name in SAMPLER if body.get(name) is not None}
    base = {"prompt": "-", "threads": default_threads(), **sampler, "rewards": _weights(body, prompts)}
    if "guidance_scale" not in sampler:
        spec = spec_of(str(base.get("model", ExploreConfig.model)))
        base["guidance_scale"] = spec.guidance_scale if spec else ExploreConfig.guidance_scale
    config = from_dict(plain | {"prompts": prompts, "seeds": _seeds(body.get("seeds", 1)), "base": base})
    check_usable(config, usable)
    return config


def _prompts(body: Mapping[str, Any]) -> list[Any]:
    given, named = body.get("prompts"), body.get("set")
    if (given is None) == (named is None):
        raise ConfigError({"prompts": "expected a list of prompts, or the name of a set, and not both"})
    if named is not None:
        return list(prompts_of(named))
    if not isinstance(given, list | tuple):
        raise ConfigError({"prompts": f"expected a list, got {given!r:.60}"})
    return list(given)


def _seeds(value: Any) -> list[Any]:
    """Some seeds, or the first so many."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise ConfigError({"seeds": f"expected a list of seeds or how many, got {value!r:.60}"})
    if isinstance(value, int):
        if not 1 <= value <= 1_000:
            raise ConfigError({"seeds": f"expected at least one seed, and not thousands, got {value!r:.60}"})
        return list(range(value))
    return list(value)


def _weights(body: Mapping[str, Any], prompts: Sequence[Any]) -> Any:
    if body.get("rewards") is not None:
        if body.get("reward") is not None:
            raise ConfigError({"reward": "expected a reward to optimise, or weights of several, and not both"})
        return body["rewards"]
    usual = to_dict(ExploreConfig("-"))["rewards"]
    chosen = body.get("reward") or next(iter(usual))
    if not isinstance(chosen, str):
        raise ConfigError({"reward": f"expected a reward's name, got {chosen!r:.60}"})
    watched = body.get("held_out")
    if watched is None:
        watched = [name for name in usual if rewards.usable(name)[0] and not _unjudged(name, prompts)]
    if not isinstance(watched, list | tuple) or not all(isinstance(name, str) for name in watched):
        raise ConfigError({"held_out": f"expected a list of rewards, got {watched!r:.60}"})
    return {chosen: 1.0, **{name: 0.0 for name in watched if name != chosen}}


def check_usable(config: MeasureConfig, usable: Callable[[str], tuple[bool, str]] = models.usable) -> None:
    """Raises ConfigError where the model or a reward cannot be used here, or cannot judge a prompt."""
    problems = {}
    fine, why = usable(config.base.model)
    if not fine:
        problems["model"] = why
    for name, weight in config.base.rewards.items():
        field = "reward" if weight else "held_out"
        fine, why = rewards.usable(name)
        if not fine:
            problems[field] = why
        elif bad := _unjudged(name, config.prompts):
            problems[field] = f"{rewards.what_it_judges(name)}; it cannot judge {bad[0]!r:.80}"
    if problems:
        raise ConfigError(problems)


def _unjudged(reward: str, prompts: Sequence[Any]) -> list[str]:
    """The prompts that a reward cannot judge."""
    return [one for one in prompts if isinstance(one, str) and not rewards.can_judge(reward, one)]


def as_request(config: MeasureConfig) -> dict[str, Any]:
    """A config as the body that asks for it, so that a form can be filled with it."""
    own = {one.name: getattr(config, one.name) for one in fields(config) if one.name in OWN}
    sampler = {name: getattr(config.base, name) for name in SAMPLER}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in (own | sampler).items()}
    listed = {"prompts": list(config.prompts), "seeds": list(config.seeds)}
    return plain | listed | {"rewards": dict(config.base.rewards)}
