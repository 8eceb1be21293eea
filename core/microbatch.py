"""Batches that fit: work on many samples in parts, which are halved when the device runs out of memory."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from core.errors import ModelError

log = logging.getLogger(__name__)

_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device (CUDA, MPS or the CPU's allocator) had no memory left; each says so in its own way."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _MESSAGES)


def release_memory() -> None:
    """Let the allocators hand back what they keep for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


class MicroBatches:
    """Runs work part by part; `size` is how many samples it takes at once, and only ever falls."""

    def __init__(self, size: int, what: str):
        """`what` names the work in messages."""
        self.size = size
        self.what = what

    def run(self, work: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
        """`work` on samples (B, ...) in parts, in order, (B, ...). Raises ModelError where one sample is too many."""
        parts: list[Tensor] = []
        done = 0
        while done < len(samples):
            part = samples[done : done + self.size]
            try:
                parts.append(work(part))
                done += len(part)
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                told = str(error).partition("\n")[0][:200] or type(error).__name__
            # Outside the block: the error's traceback held what there was no room for.
            release_memory()
            if len(part) == 1:
                raise ModelError(f"{self.what}: not enough memory for one sample: {told}")
            self.size = len(part) // 2
            log.warning("%s: not enough memory for %d samples, trying %d at once", self.what, len(part), self.size)
        return torch.cat(parts)
