"""Sets of prompts: named ones, one a line, under assets/prompts, and files of one's own.

Of a named set, a first line that begins with # says what is in it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.settings import ROOT
from core.config import ExploreConfig, problems_of
from core.errors import ConfigError

FOLDER = ROOT / "assets" / "prompts"
OTHERS = ("geneval-mixed", "general")  # prompts that the embedded model was never taught


@dataclass(frozen=True)
class PromptSet:
    """`embedded`: every prompt is a caption of the embedded world."""

    name: str
    help: str
    prompts: tuple[str, ...]
    embedded: bool


def set_names() -> list[str]:
    """The names of the sets that came with the lab: the mixed one first, those for other models last."""
    names = (path.stem for path in FOLDER.glob("*.txt"))
    return sorted(names, key=lambda name: (OTHERS.index(name) if name in OTHERS else -1, name != "mixed", name))


@cache
def prompt_sets() -> dict[str, PromptSet]:
    """Every set that came with the lab by name, in the order of `set_names`."""
    from core.shapes.scenes import parse_caption

    found = {}
    for name in set_names():
        text = (FOLDER / f"{name}.txt").read_text()
        title = text.partition("\n")[0].lstrip("# ").strip() if text.startswith("#") else name
        prompts = read_lines(text)
        found[name] = PromptSet(name, title, prompts, all(parse_caption(one) is not None for one in prompts))
    return found


def read_lines(text: str) -> tuple[str, ...]:
    """The prompts of a text: a line each, each once; empty lines and those that begin with # are left out."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def prompts_of(name: str) -> tuple[str, ...]:
    """The prompts of a named set. Raises ConfigError."""
    found = prompt_sets().get(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigError({"set": f"expected one of {', '.join(set_names())}, got {name!r:.60}"})
    return found.prompts


def read_prompts(text: str) -> tuple[str, ...]:
    """The prompts of somebody's own file, each checked, each once. Raises ConfigError, for "prompts", with the line.

    A prompt a line as in `read_lines`, or JSON lines, as a first line that begins with { tells: objects with a
    `prompt`, such as GenEval's metadata.
    """
    in_json = text.lstrip().startswith("{")
    found: dict[str, None] = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or (line.startswith("#") and not in_json):
            continue
        prompt = _json_prompt(line, number) if in_json else line
        problem = problems_of(ExploreConfig(prompt)).get("prompt")
        if problem:
            raise ConfigError({"prompts": f"line {number}: {problem}"})
        found[prompt.strip()] = None
    if not found:
        raise ConfigError({"prompts": "expected a prompt a line, or JSON lines with a `prompt` each, got no prompt"})
    return tuple(found)


def _json_prompt(line: str, number: int) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError, RecursionError):
        prompt = None
    if not isinstance(prompt, str):
        told = f'line {number}: expected an object such as {{"prompt": "a photo of a dog"}}, got {line!r:.60}'
        raise ConfigError({"prompts": told})
    return prompt


def prompts_in(path: Path) -> Sequence[str]:
    """The prompts of a file. Raises ConfigError where it cannot be read, or holds something else."""
    try:
        return read_prompts(path.read_text(encoding="utf-8-sig"))
    except ConfigError as error:
        raise ConfigError({"prompts-file": error.problems["prompts"]}) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError({"prompts-file": f"cannot be read: {error}"}) from error
