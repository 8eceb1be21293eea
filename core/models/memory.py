"""What a model needs of a device's memory, known before it is loaded. Standard library only.

Weights are counted exactly. What a forward needs beside them was counted on the real classes at true size without
memory (fake tensors, no gradients, bfloat16): a sample of SD3.5 Medium at 512 pixels 47 MB, of Large 64 MB, of FLUX.1
146 MB, which is 10 to 16 numbers for each token and channel; a decoded picture 404 MB, 770 numbers a pixel.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import ModelError
from core.models.registry import ModelSpec

DType = Literal["float32", "bfloat16", "float16"]
BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
NUMBERS_PER_TOKEN, NUMBERS_PER_PIXEL = 16, 770
PIXELS_PER_TOKEN = 16 * 16  # 8 a latent, 2 latents a token
CLIP_TOKENS = 77
MARGIN = 0.05  # of the device's memory: what libraries and fragments take


@dataclass(frozen=True)
class Need:
    """Bytes: weights by part, and what one sample of a velocity (with its guidance pair) and one decode take."""

    transformer: int
    text: int
    vae: int
    sample: int
    picture: int

    @property
    def weights(self) -> int:
        """All parts together."""
        return self.transformer + self.text + self.vae

    @property
    def whole(self) -> int:
        """Everything in memory at once, working on one picture at a time."""
        return self.weights + max(self.sample, self.picture)

    @property
    def swapped(self) -> int:
        """The same while text encoders and transformer take turns."""
        return max(self.text, self.transformer) + self.vae + max(self.sample, self.picture)


def sample_bytes(width: int, tokens: int, each: int) -> int:
    """What a forward of `tokens` through a transformer of `width` channels takes in numbers of `each` bytes."""
    return NUMBERS_PER_TOKEN * width * tokens * each


def need(spec: ModelSpec, dtype: DType) -> Need:
    """What a model needs with its weights in `dtype`; zeros where its number of weights is not known."""
    one = BYTES[dtype]
    tokens = spec.height * spec.width // PIXELS_PER_TOKEN + spec.max_sequence_length
    pair = 1 + spec.guidance_pair
    return Need(
        transformer=spec.transformer_weights * one,
        text=spec.text_weights * one,
        vae=spec.vae_weights * one,
        sample=sample_bytes(spec.transformer_width, pair * (tokens + CLIP_TOKENS), one),
        picture=NUMBERS_PER_PIXEL * spec.height * spec.width * one,
    )


def must_swap(spec: ModelSpec, dtype: DType, free: int, place: str) -> bool:
    """Whether text encoders and transformer must take turns in the `free` bytes of a place (cpu, cuda or mps).

    Only a GPU with memory of its own has somewhere to put them. Raises ModelError, with figures, for what cannot fit.
    """
    needed, usable, apart = need(spec, dtype), int(free * (1 - MARGIN)), place == "cuda"
    least = needed.swapped if apart else needed.whole
    if least > usable:
        parts = {"transformer": needed.transformer, "text encoders": needed.text, "VAE": needed.vae}
        parts["working memory"] = max(needed.sample, needed.picture)
        raise ModelError(
            f"{spec.title} does not fit: it needs {gigabytes(least)} in {dtype}"
            + (", its text encoders and transformer taking turns" if apart else "")
            + f" ({', '.join(f'{name} {gigabytes(size)}' for name, size in parts.items())}); "
            f"{place} has {gigabytes(usable)} to give"
        )
    return needed.whole > usable


def fitting(wanted: int, each: int, free: int) -> int:
    """How many of `wanted` samples of `each` bytes to work on at once in `free` bytes; at least one."""
    return max(1, min(wanted, int(free * (1 - MARGIN)) // each)) if each else wanted


def available_memory() -> int:
    """Bytes of this machine's memory that programs can still have (on Linux; else all there is)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gigabytes(size: float) -> str:
    """A size as text: "16.3 GB", small ones in MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
