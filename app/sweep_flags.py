"""The flags of `sweep`: what is varied, over which prompts and seeds, and otherwise those of `search`."""

import argparse
from pathlib import Path
from typing import Any

from app.flags import add_search_flags, read_search
from app.prompt_sets import prompts_in, set_names
from app.sweep_config import MAX_AXES, SETTINGS
from core.errors import ConfigError


def add_sweep_flags(parser: argparse.ArgumentParser) -> None:
    """What is varied, over which prompts and seeds; everything else is a flag of `search`."""
    add_search_flags(parser)
    what = parser.add_argument_group("the sweep")
    what.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="SETTING=VALUE,VALUE",
        help=f"a setting and its values, such as num_candidates=3,5,9; once or twice. One of {', '.join(SETTINGS)}",
    )
    what.add_argument("--seeds", type=int, default=1, metavar="N", help="sessions a prompt and cell (default: 1)")
    what.add_argument("--prompts-file", type=Path, metavar="FILE", help="prompts, one a line, instead of one prompt")
    what.add_argument("--prompt-set", metavar="NAME", help=f"a set that came with the lab: {', '.join(set_names())}")
    what.add_argument("--measure", metavar="NAME", help="what the table shows (default: what is gained over no search)")
    what.add_argument("--estimate", action="store_true", help="say what it would cost, and run nothing")


def read_body(asked: argparse.Namespace) -> dict[str, Any]:
    """What the flags ask for, as a page would send it. Raises ConfigError."""
    given = [one for one in (asked.prompt or asked.prompt_flag, asked.prompts_file, asked.prompt_set) if one]
    if len(given) != 1:
        raise ConfigError({"prompt": "expected a prompt, --prompts-file or --prompt-set, and one of them"})
    if not 1 <= len(asked.vary) <= MAX_AXES:
        raise ConfigError({"vary": "expected one or two settings, such as --vary num_candidates=3,5,9"})
    body = {"axes": [_axis(text) for text in asked.vary], "seeds": asked.seeds, "base": read_search(asked)}
    if asked.prompt_set:
        return body | {"set": asked.prompt_set}
    return body | {"prompts": list(prompts_in(asked.prompts_file) if asked.prompts_file else given)}


def _axis(text: str) -> dict[str, Any]:
    name, given, values = text.partition("=")
    short = {one.removeprefix("search."): one for one in SETTINGS}
    if not given or not values:
        raise ConfigError({"vary": f"expected SETTING=VALUE,VALUE such as num_candidates=3,5,9, got {text!r:.60}"})
    return {"setting": short.get(name.strip().replace("-", "_"), name.strip()), "values": values.split(",")}
