"""What every search must keep to, as a check that tests and plug-ins share."""

from typing import get_args

import torch
from torch import Tensor

from core.config import ResultMode
from core.search.protocol import Algorithm

SHAPE = (4, 8, 8)
_PARTS = ("start", "ask", "tell", "result")


def violations(algorithm: Algorithm) -> list[str]:
    """What a search does wrong over three rounds of five noises; empty when all is well.

    Checked: its four functions; candidates and results of the right shape, finite and the same when asked again; states
    with search_mean and search_std; that `tell` leaves the state it was given as it was, and survives a round without
    elites and rewards that are not finite.
    """
    missing = [part for part in _PARTS if not callable(getattr(algorithm, part, None))]
    if missing:
        return [f"it lacks {', '.join(missing)}: see core.search.protocol.Algorithm"]
    try:
        return _rounds(algorithm)
    except Exception as error:
        return [f"it failed with {type(error).__name__}: {error}"]


def _rounds(algorithm: Algorithm) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    state, found = algorithm.start(SHAPE), list[str]()
    lost = float("nan")
    rounds = [((0.1, 0.5, 0.3, 0.2, 0.4), (1, 4)), ((lost,) * 5, ()), ((lost, 1.0, 2.0, 3.0, 4.0), (4,))]
    for total, elites in rounds:
        found = _state(state)
        if found:
            return found
        base = torch.randn(5, *SHAPE, generator=generator)
        asked = algorithm.ask(state, base)
        found = _noise("ask", asked, 5)
        if found:
            return found
        following = algorithm.tell(state, asked, total, elites, min_std=0.0)
        if not torch.equal(algorithm.ask(state, base), asked):
            return ["ask gives other noises after tell: a state must never change"]
        again = algorithm.tell(state, asked, total, elites, min_std=0.0)
        if not torch.equal(algorithm.ask(following, base), algorithm.ask(again, base)):
            return ["tell is not repeatable: a stored session could not be rebuilt"]
        state = following
    base = torch.randn(1, *SHAPE, generator=generator)
    for mode in get_args(ResultMode):
        found += _noise(f"result {mode}", algorithm.result(state, mode, base), 1)
    return found


def _state(state: object) -> list[str]:
    shape = (1, *SHAPE)
    parts = {name: getattr(state, name, None) for name in ("search_mean", "search_std")}
    wrong = [name for name, part in parts.items() if not isinstance(part, Tensor) or part.shape != shape]
    return [f"its state's {' and '.join(wrong)} is expected to be a tensor of shape {shape}"] if wrong else []


def _noise(what: str, noise: object, count: int) -> list[str]:
    if not isinstance(noise, Tensor) or noise.shape != (count, *SHAPE):
        got = tuple(noise.shape) if isinstance(noise, Tensor) else type(noise).__name__
        return [f"{what} is expected to give noises of shape {(count, *SHAPE)}, got {got}"]
    return [] if bool(torch.isfinite(noise).all()) else [f"{what} gives noises that are not finite"]
