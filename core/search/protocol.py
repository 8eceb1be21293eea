"""What a search algorithm is: pure functions over an immutable state, as `core.search.cem` is a module of."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from core.config import ResultMode


class SearchState(Protocol):
    """What an algorithm knows so far. The board shows the mean's size and the spread of `search_std`, (1, C, H, W)."""

    @property
    def search_mean(self) -> Tensor:
        """The centre of the noises that `ask` gives."""

    @property
    def search_std(self) -> Tensor:
        """Their standard deviation around it."""


class Algorithm(Protocol):
    """Four functions, each the same for the same arguments: a stored session is rebuilt by calling them again.

    `Any` stands for the algorithm's own SearchState. A module with these functions will do, and so will an object.
    """

    def start(self, shape: tuple[int, ...]) -> Any:
        """The state before the first iteration, for latents of that shape (C, H, W)."""

    def ask(self, state: Any, base_noise: Tensor) -> Tensor:
        """Candidate noises (K, C, H, W) from as many standard normal draws."""

    def tell(
        self, state: Any, noise: Tensor, total: Sequence[float], elites: Sequence[int], *, min_std: float = 0.0
    ) -> Any:
        """The next state: `noise` (K, C, H, W) had the rewards `total`, and `elites` are the indices that were kept."""

    def result(self, state: Any, mode: ResultMode, base_noise: Tensor) -> Tensor:
        """The noise (1, C, H, W) that the finished search uses; `base_noise` is one more standard normal draw."""
