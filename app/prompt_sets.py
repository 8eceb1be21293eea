"""Named sets of prompts, one a line, under assets/prompts. A first line that begins with # says what is in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.settings import ROOT
from core.errors import ConfigError

FOLDER = ROOT / "assets" / "prompts"


@dataclass(frozen=True)
class PromptSet:
    """`embedded`: every prompt is a caption of the embedded world."""

    name: str
    help: str
    prompts: tuple[str, ...]
    embedded: bool


def set_names() -> list[str]:
    """The names of the sets that came with the lab: the mixed one first, the general one last."""
    names = (path.stem for path in FOLDER.glob("*.txt"))
    return sorted(names, key=lambda name: (name == "general", name != "mixed", name))


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


def prompts_in(path: Path) -> Sequence[str]:
    """The prompts of a file. Raises ConfigError where it cannot be read as text."""
    try:
        return read_lines(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError({"prompts-file": f"cannot be read: {error}"}) from error
