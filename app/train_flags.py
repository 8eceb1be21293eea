"""The flags of `train`: one a setting, with the form's own help."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from app.flags import reward_flag
from app.prompt_sets import prompts_in
from core.config import PRESETS, SearchConfig
from core.errors import ConfigError
from core.train_config import TRAIN_PRESETS, TrainConfig, preset
from core.train_help import TRAIN_HELP

_OWN_FORM = {"preset", "prompts", "rewards", "search"}


def add_train_flags(parser: argparse.ArgumentParser) -> None:
    """Every setting of a fine-tune as a flag, and which run goes on."""
    add_setting_flags(parser)
    parser.add_argument("--resume", metavar="RECORD", help="go on with a stored run from its newest checkpoint")


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Every setting of a fine-tune as a flag."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a progress bar")
    parser.add_argument("--name", help="what the run is called in the library")
    parser.add_argument(
        "--preset", default="flow-grpo", help=f"{TRAIN_HELP['preset']} One of {', '.join(TRAIN_PRESETS)}"
    )
    run = parser.add_argument_group("the fine-tune", "what is not given is as the preset has it")
    run.add_argument("--reward", action="append", type=reward_flag, metavar="NAME=WEIGHT", help=TRAIN_HELP["rewards"])
    run.add_argument("--prompt", action="append", metavar="PROMPT", help="a prompt of your own; repeatable")
    run.add_argument("--prompts-file", type=Path, metavar="FILE", help="prompts of your own, one a line")
    search = parser.add_argument_group("the search", "what is not given is as --search has it")
    search.add_argument("--search", choices=list(PRESETS), help="a preset of searches (default: the training preset's)")
    for owner, group, prefix in ((TrainConfig, run, ""), (SearchConfig, search, "search.")):
        hints = get_type_hints(owner)
        for one in fields(owner):
            if one.name not in _OWN_FORM:
                _add_flag(group, one.name, hints[one.name], TRAIN_HELP[prefix + one.name])


def _add_flag(group: Any, name: str, kind: Any, text: str) -> None:
    flag, parts = f"--{name.replace('_', '-')}", get_args(kind)
    if kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
    elif kind in (int, float, str):
        group.add_argument(flag, type=kind, help=text)
    elif type(None) in parts:
        number = int if int in parts else float
        group.add_argument(flag, type=_optional(number), metavar="NUMBER|none", help=text)
    else:  # some words
        group.add_argument(flag, choices=[one for one in parts if one != "ode"], help=text)


def _optional(kind: type) -> Any:
    def read(text: str) -> Any:
        return "none" if text == "none" else kind(text)

    read.__name__ = f"{kind.__name__} or none"
    return read


def read_train(asked: argparse.Namespace) -> dict[str, Any]:
    """What the flags ask for, as a page would send it. Raises ConfigError."""
    preset(asked.preset)
    given = {name: value for name, value in vars(asked).items() if value is not None}
    names = {one.name for one in fields(TrainConfig)} - _OWN_FORM
    body: dict[str, Any] = {"preset": asked.preset} | {name: given[name] for name in names & given.keys()}
    body = {name: None if value == "none" else value for name, value in body.items()}
    names = {one.name for one in fields(SearchConfig)} - {"preset"}
    searched = {name: given[name] for name in names & given.keys()}
    if asked.search:
        searched["preset"] = asked.search
    if searched:
        body["search"] = searched
    if asked.prompt and asked.prompts_file:
        raise ConfigError({"prompts-file": "expected it or --prompt, and not both"})
    if asked.prompt or asked.prompts_file:
        body["prompts"] = list(asked.prompt or prompts_in(asked.prompts_file))
    if asked.reward:
        body["rewards"] = dict(asked.reward)
    if asked.name:
        body["name"] = asked.name
    return body
