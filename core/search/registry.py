"""The search algorithms by name. Standard library only at import; torch comes in with `load_algorithm`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import SearchError

if TYPE_CHECKING:
    from core.search.protocol import Algorithm


def _cem() -> "Algorithm":
    from core.search import cem

    return cem


ALGORITHMS: dict[str, Callable[[], "Algorithm"]] = {"cem": _cem}


def usable(name: str) -> tuple[bool, str]:
    """Whether there is a search of that name, and if not what there is (else "")."""
    return (True, "") if name in ALGORITHMS else (False, _unknown(name))


def load_algorithm(name: str) -> "Algorithm":
    """The algorithm's functions. SearchError when there is none of that name."""
    if name not in ALGORITHMS:
        raise SearchError(_unknown(name))
    return ALGORITHMS[name]()


def _unknown(name: str) -> str:
    return f"expected one of the searches {', '.join(ALGORITHMS)}, got {name[:60]!r}"
