"""Every random tensor of a session comes from a named stream here.

A stream is named by (seed, purpose, step, iteration, candidate), drawn one candidate at a time on the CPU: the same
candidate gets the same noise whatever the batch size, the device, or what ran before it.
"""

import hashlib

import torch
from torch import Tensor


def stream(seed: int, purpose: str, *indices: int) -> torch.Generator:
    """A CPU generator named by seed, purpose and indices (different names are independent streams)."""
    name = ":".join([str(seed), purpose, *map(str, indices)])
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1)


def normal(shape: tuple[int, ...], seed: int, purpose: str, *indices: int) -> Tensor:
    """A standard normal float32 tensor (1, *shape) of the named stream."""
    return torch.randn((1, *shape), generator=stream(seed, purpose, *indices))


def candidates(shape: tuple[int, ...], count: int, seed: int, purpose: str, *indices: int) -> Tensor:
    """`count` standard normal tensors (count, *shape); number k is the stream (..., k)."""
    return torch.cat([normal(shape, seed, purpose, *indices, k) for k in range(count)])
