"""How fast a device multiplies matrices at best: what a model's speed there is measured against."""

import time

import torch

SIZES = {"cpu": 1024, "mps": 4096, "cuda": 8192}
SECONDS = 0.5


def matrix_product_rate(device: str, dtype: str, *, size: int | None = None, seconds: float = SECONDS) -> float:
    """Operations a second of square matrix products (2 n^3 each) in `dtype`: the best of those within `seconds`."""
    place = torch.device(device)
    n = size or SIZES.get(place.type, SIZES["cpu"])
    left, right = (torch.randn(n, n, device=place, dtype=getattr(torch, dtype)) for _ in range(2))
    best, ends = 0.0, time.perf_counter() + seconds
    left @ right  # the first one also chooses how
    synchronize(place)
    while True:
        began = time.perf_counter()
        left @ right
        synchronize(place)
        now = time.perf_counter()
        best = max(best, 2 * n**3 / (now - began))
        if now >= ends:
            return best


def synchronize(place: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    elif place.type == "mps":
        torch.mps.synchronize()
