"""Where a pipeline's parts are: all on the device, or text encoders and transformer there in turns."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from core.microbatch import release_memory
from core.models.memory import DType, available_memory, fitting, sample_bytes
from core.models.registry import ModelSpec

CPU = torch.device("cpu")
REMEMBERED = 32  # prompts; one of SD3.5 with its guidance pair takes 5 MB
T = TypeVar("T")


class TextEncoders:
    """A pipeline's text encoders, which may wait on the CPU while the transformer draws.

    With `swap` a prompt is read with the places changed: T5 of SD3.5 and FLUX is larger than SD3.5 Medium's transformer
    and idle after the first second of a session.
    """

    def __init__(self, pipeline: Any, *, swap: bool = False):
        """Moves nothing yet."""
        self.pipeline = pipeline
        self.swap = swap
        self._read: OrderedDict[Hashable, Any] = OrderedDict()

    def once(self, prompt: Hashable, read: Callable[[torch.device], T]) -> T:
        """What `read(device)` makes of a prompt; with `swap` the last prompts are remembered rather than read again."""
        if prompt not in self._read:
            with self._reading() as device:
                found = read(device)
            if not self.swap:
                return found
            self._read[prompt] = found
            if len(self._read) > REMEMBERED:
                self._read.popitem(last=False)
        self._read.move_to_end(prompt)
        return self._read[prompt]

    @contextmanager
    def _reading(self) -> Iterator[torch.device]:
        """The device to encode on, the encoders being there while the block runs."""
        transformer, device = self.pipeline.transformer, self.pipeline.transformer.device
        if not self.swap:
            yield device
            return
        transformer.to(CPU)
        release_memory()
        self._to(device)
        try:
            yield device
        finally:
            self._to(CPU)
            release_memory()
            transformer.to(device)

    def _to(self, device: torch.device) -> None:
        for name, part in self.pipeline.components.items():
            if name.startswith("text_encoder") and part is not None:
                part.to(device)


def put(pipeline: Any, device: str, *, swap: bool) -> None:
    """Move a pipeline's parts to a device; with `swap` its text encoders stay where they are."""
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and not (swap and name.startswith("text_encoder")):
            part.to(device)


def dtype_on(spec: ModelSpec, device: str) -> DType:
    """The weights' type on a device: float32 on the CPU, else the model's own, or half where the GPU lacks bfloat16."""
    kind = torch.device(device).type
    if kind == "cpu":
        return "float32"
    if kind == "cuda" and spec.gpu_dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float16"
    return spec.gpu_dtype


def fitting_batch(model: Any, wanted: int) -> int:
    """How many samples to start with: on a GPU what free memory allows, elsewhere what is wanted."""
    transformer = getattr(getattr(model, "pipeline", None), "transformer", None)
    if transformer is None or model.device.type == "cpu":
        return wanted
    each = sample_bytes(transformer.inner_dim, model.tokens, transformer.proj_out.weight.element_size())
    return fitting(wanted, each, free_memory(str(model.device)))


def free_memory(device: str) -> int:
    """Bytes that can still be had on a device, what torch keeps for later included."""
    place = torch.device(device)
    if place.type == "cuda":
        free, _ = torch.cuda.mem_get_info(place)
        return int(free) + torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)
    if place.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return available_memory()
