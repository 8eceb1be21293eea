"""What plain JSON is expected to look like: small predicates that say so in words."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.handing.form import BundleError

INTEGER = 2**31  # databases keep whole numbers below it
DEPTH = 12


@dataclass(frozen=True)
class Shape:
    """`fits(value)` and, for messages, what is `expected`."""

    expected: str
    fits: Callable[[Any], bool]

    def check(self, value: Any, what: str) -> Any:
        """The value, if it fits. BundleError says of `what` what was expected and what came."""
        if not self.fits(value):
            raise BundleError(f"{what}: expected {self.expected}, got {value!r:.60}")
        return value


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number that a database can keep."""
    return type(value) is int and -INTEGER <= value < INTEGER


def is_number(value: Any) -> bool:
    """Whether a value is a number that is finite as a double."""
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def is_plain(value: Any, depth: int = DEPTH) -> bool:
    """Whether a value is JSON that every database can hold: no NUL, no half of a surrogate pair, not too deep."""
    if value is None or type(value) is bool or is_number(value):
        return True
    if isinstance(value, str):
        return is_text(value)
    if depth and isinstance(value, list):
        return all(is_plain(one, depth - 1) for one in value)
    if depth and isinstance(value, dict):
        return all(is_text(name) and is_plain(one, depth - 1) for name, one in value.items())
    return False


def is_text(value: Any) -> bool:
    """Whether a value is text that every database can hold."""
    return isinstance(value, str) and not any(ch == "\0" or "\ud800" <= ch <= "\udfff" for ch in value)


whole = Shape("a whole number", is_whole)
number = Shape("a number", is_number)
text = Shape("text", is_text)
flag = Shape("true or false", lambda value: type(value) is bool)
plain = Shape("plain JSON", is_plain)


def maybe(shape: Shape) -> Shape:
    """That, or null."""
    return Shape(f"{shape.expected} or null", lambda value: value is None or shape.fits(value))


def listed(shape: Shape, size: int | None = None) -> Shape:
    """A list of it, of that size where one is given."""
    many = "" if size is None else f"{size} x "
    return Shape(
        f"a list of {many}{shape.expected}",
        lambda value: isinstance(value, list) and len(value) == (size or len(value)) and all(map(shape.fits, value)),
    )


def keyed(shape: Shape) -> Shape:
    """An object whose every value is that."""
    return Shape(
        f"an object of {shape.expected}",
        lambda value: isinstance(value, dict) and all(is_text(k) and shape.fits(v) for k, v in value.items()),
    )


def fields(**shapes: Shape) -> Shape:
    """An object with exactly these fields."""
    return Shape(
        f"an object with {', '.join(shapes)}",
        lambda value: (
            isinstance(value, Mapping)
            and value.keys() == shapes.keys()
            and all(shape.fits(value[name]) for name, shape in shapes.items())
        ),
    )


numbers = listed(maybe(number))
COST = fields(nfe=whole, decodes=whole, reward_calls=whole, seconds=number)
_BY_REWARD = keyed(numbers)
_RETURNED = fields(
    elites=listed(whole), rewards=keyed(keyed(maybe(number))), averaged=maybe(number), elite_mean=maybe(number)
)
SIBLINGS = fields(
    proxy=keyed(_BY_REWARD),
    truth=_BY_REWARD,
    walked=keyed(maybe(number)),
    ended=keyed(maybe(number)),
    latent_distance=keyed(numbers),
    pixel_distance=keyed(numbers),
    returned=keyed(_RETURNED),
    cost=keyed(COST),
    truth_cost=COST,
    sheet=fields(columns=whole, cell=whole),
)
# Of the columns that hold JSON, by table and name.
COLUMNS: dict[tuple[str, str], Shape] = {
    ("sessions", "sigmas"): maybe(numbers),
    ("sessions", "searched"): maybe(listed(flag)),
    ("sessions", "step_std"): maybe(numbers),
    ("sessions", "excess_std"): maybe(numbers),
    ("sessions", "latent_shape"): maybe(listed(whole)),
    ("iterations", "elites"): listed(whole),
    ("iterations", "std_quantiles"): listed(maybe(number), 5),
    ("arms", "trail"): numbers,
    ("reliability", "sigmas"): maybe(numbers),
    ("reliability", "step_std"): maybe(numbers),
    ("reliability", "excess_std"): maybe(numbers),
    ("siblings", "data"): SIBLINGS,
    ("runs", "diagnosis"): listed(text),
    ("epochs", "metrics"): keyed(maybe(number)),
    ("epochs", "per_step"): keyed(numbers),
    ("epochs", "phases"): keyed(maybe(number)),
    ("samples", "rewards"): numbers,
    ("checkpoints", "files"): keyed(fields(sha256=text, bytes=whole)),
    ("origins", "environments"): listed(keyed(plain)),
}
OBJECT = keyed(plain)
