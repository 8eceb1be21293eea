"""Rewards with weights as one writes them in a line: `shapes-clip 1, jpeg-compressibility 0.5`."""

import json
import re
from collections.abc import Mapping

from core.errors import ConfigError

MAX_LENGTH = 4_000
EXAMPLE = "shapes-clip 1, jpeg-compressibility 0.5"
_NAME = re.compile(r"[^\s,;=\"]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_BETWEEN = re.compile(r"\s*=\s*|\s*")
_END = re.compile(r"\s*(?:[,;\n]\s*|$)")


def write_weights(rewards: Mapping[str, float]) -> str:
    """One line that `read_weights` reads back. Names of other than plain letters stand in quotes."""
    return ", ".join(f"{_written(name)} {_number(weight)}" for name, weight in rewards.items())


def read_weights(text: str) -> dict[str, float]:
    """Weights by reward. One without a number weighs 1. Raises ConfigError, for "weights", where it cannot be read."""
    if len(text) > MAX_LENGTH:
        raise _unreadable(f"a text of {len(text)} characters")
    found: dict[str, float] = {}
    at = len(text) - len(text.lstrip())
    while at < len(text):
        name = _QUOTED.match(text, at) or _NAME.match(text, at)
        if name is None:
            raise _unreadable(text[at:])
        at = _BETWEEN.match(text, name.end()).end()  # type: ignore[union-attr]
        weight = _NUMBER.match(text, at)
        end = _END.match(text, weight.end() if weight else name.end())
        if end is None:
            raise _unreadable(text[name.start() :])
        read = _read(name[0])
        if read in found:
            raise ConfigError({"weights": f"expected each reward once, got {read!r:.60} twice"})
        found[read] = float(weight[0]) if weight else 1.0
        at = end.end()
    return found


def _written(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)


def _read(name: str) -> str:
    if not name.startswith('"'):
        return name
    try:
        return str(json.loads(name))
    except ValueError as error:
        raise _unreadable(name) from error


def _number(weight: float) -> str:
    return repr(weight).removesuffix(".0")


def _unreadable(text: str) -> ConfigError:
    return ConfigError({"weights": f"expected rewards with their weights, such as {EXAMPLE}, got {text!r:.60}"})
