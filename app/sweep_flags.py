"""The flags of `sweep`: what is varied, over which seeds, and otherwise those of `search` or of `train`."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.flags import add_search_flags, read_search
from app.prompt_sets import prompts_in, set_names
from app.sweep_config import MAX_AXES
from app.sweep_kinds import FINE_TUNES, SEARCHES, Kind
from app.train_flags import add_setting_flags, read_train
from core.errors import ConfigError

FINE_TUNED = "--fine-tunes"  # it decides which flags there are


def add_sweep_flags(parser: argparse.ArgumentParser, *, fine_tunes: bool = False) -> None:
    """What is varied, over which seeds; everything else is a flag of `search`, or with `fine_tunes` of `train`."""
    kind = FINE_TUNES if fine_tunes else SEARCHES
    parser.set_defaults(of=kind.name)
    (add_setting_flags if fine_tunes else add_search_flags)(parser)
    what = parser.add_argument_group("the sweep")
    what.add_argument(
        FINE_TUNED,
        action="store_true",
        help="sweep fine-tunes instead of searches; the other flags are then those of `train` (add --help)",
    )
    what.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="SETTING=VALUE,VALUE",
        help=f"a setting and its values, such as {_example(kind)}; once or twice. One of {', '.join(kind.settings)}",
    )
    many = "fine-tunes a cell" if fine_tunes else "sessions a prompt and cell"
    what.add_argument("--seeds", type=int, default=1, metavar="N", help=f"{many} (default: 1)")
    usual = "what is gained over the base" if fine_tunes else "what is gained over no search"
    what.add_argument("--measure", metavar="NAME", help=f"what the table shows (default: {usual})")
    what.add_argument("--estimate", action="store_true", help="say what it would cost, and run nothing")
    if not fine_tunes:
        what.add_argument(
            "--prompts-file", type=Path, metavar="FILE", help="prompts, one a line, instead of one prompt"
        )
        named = f"a set that came with the lab: {', '.join(set_names())}"
        what.add_argument("--prompt-set", metavar="NAME", help=named)


def read_body(asked: argparse.Namespace) -> dict[str, Any]:
    """What the flags ask for, as a page would send it. Raises ConfigError."""
    kind = FINE_TUNES if asked.of == FINE_TUNES.name else SEARCHES
    if asked.fine_tunes and kind is SEARCHES:  # shortened, which argparse allows, it came too late
        raise ConfigError({"fine-tunes": "expected it written out"})
    told = _of_fine_tunes(asked) if kind is FINE_TUNES else _of_searches(asked)
    if not 1 <= len(asked.vary) <= MAX_AXES:
        raise ConfigError({"vary": f"expected one or two settings, such as --vary {_example(kind)}"})
    return {"of": kind.name, "axes": [_axis(text, kind) for text in asked.vary], "seeds": asked.seeds} | told


def as_written(problems: Mapping[str, str], varied: Sequence[str]) -> dict[str, str]:
    """Problems of a sweep under what was written: `varied` are the texts after --vary, in their order."""
    names = {f"axis-{at}": text for at, text in enumerate(varied)}
    for text in varied:
        setting = text.partition("=")[0].strip().replace("-", "_")
        names |= {setting: text, f"search.{setting}": text}
    return {f"vary {names[name]}" if name in names else name: text for name, text in problems.items()}


def _of_searches(asked: argparse.Namespace) -> dict[str, Any]:
    given = [one for one in (asked.prompt or asked.prompt_flag, asked.prompts_file, asked.prompt_set) if one]
    if len(given) != 1:
        raise ConfigError({"prompt": "expected a prompt, --prompts-file or --prompt-set, and one of them"})
    base = {"base": read_search(asked)}
    if asked.prompt_set:
        return base | {"set": asked.prompt_set}
    return base | {"prompts": list(prompts_in(asked.prompts_file) if asked.prompts_file else given)}


def _of_fine_tunes(asked: argparse.Namespace) -> dict[str, Any]:
    base = read_train(asked)
    named = {"name": base.pop("name")} if "name" in base else {}
    return named | {"base": base}


def _example(kind: Kind) -> str:
    return "learning_rate=3e-4,6e-4" if kind is FINE_TUNES else "num_candidates=3,5,9"


def _axis(text: str, kind: Kind) -> dict[str, Any]:
    name, given, values = text.partition("=")
    short = {one.removeprefix("search."): one for one in kind.settings} | {one: one for one in kind.settings}
    if not given or not values:
        raise ConfigError({"vary": f"expected SETTING=VALUE,VALUE such as {_example(kind)}, got {text!r:.60}"})
    return {"setting": short.get(name.strip().replace("-", "_"), name.strip()), "values": values.split(",")}
