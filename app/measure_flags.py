"""The flags of `reliability` that measure: where prompts come from, and what is measured on them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.flags import reward_flag
from app.prompt_sets import prompts_in, set_names
from core.config import FIELD_HELP, STEP_KINDS, ExploreConfig
from core.errors import ConfigError
from core.measure_config import ESTIMATES

# What a flag is called in the body that a page would send.
_SAMPLER = ("model", "num_steps", "guidance_scale", "step_kind", "noise_level", "batch_size", "threads")
_OWN = ("num_siblings", "num_elites", "seeds", "estimates", "steps", "start_sigma")


def add_measure_flags(parser: argparse.ArgumentParser) -> None:
    """Where prompts come from, and what is measured on them."""
    which = parser.add_argument_group("prompts to measure on, instead of arrays")
    which.add_argument("--prompt", action="append", metavar="PROMPT", help="one prompt; repeatable")
    which.add_argument(
        "--prompts-file", type=Path, metavar="FILE", help="prompts, one a line, or JSON lines with a `prompt` each"
    )
    which.add_argument("--prompt-set", metavar="NAME", help=f"a set that came with the lab: {', '.join(set_names())}")
    what = parser.add_argument_group("the measurement")
    what.add_argument("--num-siblings", type=int, help="noises tried from each latent (default: 16)")
    what.add_argument("--seeds", type=int, metavar="N", help="trajectories a prompt (default: 1)")
    what.add_argument(
        "--estimates", nargs="+", metavar="E", help=f"some of {', '.join(ESTIMATES)} (default: literal sde)"
    )
    what.add_argument(
        "--timesteps", nargs="+", type=int, dest="steps", metavar="S", help="counted from 1 (default: all but the last)"
    )
    what.add_argument(
        "--start-sigma", type=float, metavar="SIGMA", help="start at this noise level, from a picture under noise"
    )
    what.add_argument(
        "--reward",
        action="append",
        type=reward_flag,
        metavar="NAME[=WEIGHT]",
        help="the optimised one; weight 0 only watches (default: the learned reward, the verifier watched)",
    )
    for name in _SAMPLER:
        kind = {"model": str, "step_kind": str, "guidance_scale": float, "noise_level": float}.get(name, int)
        choices = [one for one in STEP_KINDS if one != "ode"] if name == "step_kind" else None
        what.add_argument(f"--{name.replace('_', '-')}", type=kind, choices=choices, help=FIELD_HELP[name])


def read_body(asked: argparse.Namespace) -> dict[str, Any]:
    """What the flags ask for, as a page would send it. Raises ConfigError."""
    given = [name for name in ("prompt", "prompts_file", "prompt_set") if getattr(asked, name)]
    if len(given) != 1:
        raise ConfigError({"prompts-file": "expected one of --from-array, --prompt, --prompts-file and --prompt-set"})
    body = {name: getattr(asked, name) for name in (*_SAMPLER, *_OWN) if getattr(asked, name, None) is not None}
    if asked.prompt_set:
        body["set"] = asked.prompt_set
    else:
        body["prompts"] = list(asked.prompt or prompts_in(asked.prompts_file))
    if "steps" in body:
        body["steps"] = _from_zero(body["steps"], body.get("num_steps", ExploreConfig.num_steps))
    if asked.reward:
        body["rewards"] = dict(asked.reward)
    return body


def _from_zero(told: Sequence[int], count: int) -> list[int]:
    """Timesteps as everything but people counts them. Raises ConfigError for one of which there is none."""
    wrong = [step for step in told if not 1 <= step <= count]
    if wrong:
        raise ConfigError({"timesteps": f"expected timesteps from 1 to {count}, got {wrong[0]}"})
    return [step - 1 for step in told]
