"""The flags of `search`: one a setting, with the form's own help, and problems told under the flag they came by."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from app.reuse import labelled, usual
from core import config as settings
from core.config import FIELD_HELP, PRESETS, ExploreConfig, SearchConfig, preset_session
from core.errors import ConfigError

# Settings with a flag of their own form; every other field of a config is a flag of its name.
_OWN_FORM = {"prompt", "rewards", "arms", "search", "preset", "num_steps"}
_CHOICES = {
    "step_kind": settings.STEP_KINDS,
    "reading": settings.READINGS,
    "result": settings.RESULT_MODES,
    "selection": settings.SELECTIONS,
    "estimator": settings.ESTIMATORS,
    "reward_sum": settings.REWARD_SUMS,
}
_WHOLE = ("seed", "num_candidates", "num_iterations", "estimator_steps", "batch_size", "threads")
_TYPES: dict[str, type] = dict.fromkeys(_WHOLE, int) | dict.fromkeys(["model", "algorithm", *_CHOICES], str)
_RENAMED = {"rewards": "reward"}


def add_search_flags(parser: argparse.ArgumentParser) -> None:
    """Every setting of a session as a flag."""
    parser.add_argument("prompt", nargs="?", help='such as "a photo of a red circle left of a blue star"')
    parser.add_argument("--prompt", dest="prompt_flag", metavar="PROMPT", help="the same as a flag")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument(
        "--preset",
        default="smart-grpo",
        help=f"{FIELD_HELP['search.preset']} One of {', '.join(PRESETS)}, or a plug-in's (default: smart-grpo)",
    )
    session = parser.add_argument_group("the session")
    session.add_argument("--steps", "--num-steps", dest="num_steps", type=int, help=_help(ExploreConfig, "num_steps"))
    session.add_argument(
        "--reward", action="append", type=reward_flag, metavar="NAME=WEIGHT", help=FIELD_HELP["rewards"]
    )
    session.add_argument(
        "--arms", nargs="+", metavar="ARM", help=f"{FIELD_HELP['arms']} Some of {', '.join(settings.ARMS)}"
    )
    session.add_argument("--no-arms", action="store_true", help="the search alone, compared with nothing")
    session.add_argument(
        "--window", nargs=2, type=float, metavar=("LOW", "HIGH"), help="--window-min and --window-max in one"
    )
    search = parser.add_argument_group("the search", "what is not given is as the preset has it")
    for owner, group in ((ExploreConfig, session), (SearchConfig, search)):
        for one in fields(owner):
            if one.name not in _OWN_FORM:
                _add_flag(group, owner, one.name, one.default)


def _add_flag(group: Any, owner: type, name: str, default: Any) -> None:
    flag, text = f"--{name.replace('_', '-')}", _help(owner, name)
    if isinstance(default, bool):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
    else:
        group.add_argument(flag, type=_TYPES.get(name, float), choices=_CHOICES.get(name), help=text)


def add_plugin_flag(parser: argparse.ArgumentParser) -> None:
    """What whoever starts a command brings along: plug-ins, folders and LoRAs, each flag as often as wanted."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="a file with rewards, presets, searches or models of your own; repeatable (LAB_PLUGINS names more)",
    )
    parser.add_argument(
        "--model-folder",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a diffusers folder of an SD3 or FLUX pipeline as a model; repeatable (LAB_MODEL_FOLDERS)",
    )
    parser.add_argument(
        "--previews",
        action="store_true",
        help="draw guesses along the way, which are only looked at, with a small decoder; see README (LAB_PREVIEWS=1)",
    )
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="NAME=BASE:PATH",
        help="a LoRA (safetensors, of diffusers or PEFT) on a model, as a model of its own; repeatable (LAB_LORAS)",
    )
    parser.add_argument(
        "--reward-folder",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="where a reward's files lie, or a CLIP as a reward of its own; repeatable (LAB_REWARD_FOLDERS)",
    )


def _help(owner: type, name: str) -> str:
    """A setting's sentence, and its usual value unless the preset or this machine decides it."""
    if owner is SearchConfig:
        return FIELD_HELP[f"search.{name}"]
    if name in preset_session("") or name == "threads":
        return FIELD_HELP[name]
    usual_value = getattr(ExploreConfig, name)
    return FIELD_HELP[name] if usual_value is None else f"{FIELD_HELP[name]} (default: {usual_value})"


def read_search(asked: argparse.Namespace) -> dict[str, Any]:
    """The plain config that the flags describe. Raises ConfigError for what argparse cannot see."""
    if asked.preset not in PRESETS:
        raise ConfigError({"preset": f"expected one of {', '.join(PRESETS)}, got {asked.preset!r:.60}"})
    if asked.prompt and asked.prompt_flag:
        raise ConfigError({"prompt": "expected it once, got it twice"})
    given = {name: value for name, value in vars(asked).items() if value is not None}
    names = {one.name for one in fields(SearchConfig)} - {"preset"}
    search = replace(PRESETS[asked.preset], **{name: given[name] for name in names & given.keys()})
    search = labelled(search, asked.preset)
    names = {one.name for one in fields(ExploreConfig)} - {"prompt", "search", "arms"}
    prompt = asked.prompt_flag or asked.prompt or ""
    config = replace(usual(asked.preset, prompt), search=search)
    config = replace(config, **{name: given[name] for name in names & given.keys()})
    if asked.window:
        config = replace(config, window_min=asked.window[0], window_max=asked.window[1])
    if asked.reward:
        config = replace(config, rewards=dict(asked.reward))
    if asked.no_arms or asked.arms:
        config = replace(config, arms=() if asked.no_arms else tuple(asked.arms))
    return settings.to_dict(config)


def reward_flag(text: str) -> tuple[str, float]:
    """NAME=WEIGHT; a name alone weighs 1."""
    name, given, weight = text.rpartition("=")
    try:
        return (name, float(weight)) if given else (text, 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected NAME=WEIGHT such as shapes-clip=1, got {text!r}") from None


def told(problems: Mapping[str, str]) -> list[str]:
    """A line a problem, under the flag (or the variable) that it came by; settings in the text become flags too."""
    lines = []
    for field, text in problems.items():
        name = field.removeprefix("search.")
        flag = name if name.isupper() else _flag(name)
        lines.append(f"{flag}: {_SETTINGS.sub(lambda found: _flag(found[0]), text)}")
    return lines


def _flag(name: str) -> str:
    if " " in name:  # with the value that was given to it
        return f"--{name}"
    return "--" + _RENAMED.get(name, name).replace("_", "-")


# Names of two words only: "model" or "seed" in a sentence may be just that.
_TWO_WORDS = [one.name for owner in (ExploreConfig, SearchConfig) for one in fields(owner) if "_" in one.name]
_SETTINGS = re.compile(rf"\b({'|'.join(_TWO_WORDS)})\b")
