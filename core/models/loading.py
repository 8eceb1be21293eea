"""From a pipeline folder to a FlowModel."""

import json
from pathlib import Path

import torch
from diffusers import FluxPipeline, StableDiffusion3Pipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from core.errors import ModelError
from core.models.flux import FluxFlowModel
from core.models.memory import must_swap
from core.models.placement import dtype_on, free_memory, put
from core.models.previews import previewer_of
from core.models.protocol import FlowModel
from core.models.registry import ModelSpec
from core.models.sd3 import SD3FlowModel


def load_folder(spec: ModelSpec, folder: Path, *, device: str = "cpu") -> FlowModel:
    """Load a diffusers pipeline folder as the model `spec` describes; only safetensors, only from this machine.

    On the CPU always in float32, whatever the files hold: half precision is slow there and overflows. Raises ModelError
    where it is known beforehand not to fit.
    """
    dtype = dtype_on(spec, device)
    swap = must_swap(spec, dtype, free_memory(device), torch.device(device).type)
    kind = StableDiffusion3Pipeline if spec.family == "sd3" else FluxPipeline
    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()  # whoever loads draws its own
    try:
        # diffusers saves a part that is not there (the embedded model has no T5) as null, and wants None to load it.
        index = json.loads((folder / "model_index.json").read_text())
        absent: dict[str, None] = {name: None for name, value in index.items() if value == [None, None]}
        options = {"dtype": getattr(torch, dtype), "use_safetensors": True, "local_files_only": True}
        pipeline = kind.from_pretrained(folder, **options, **absent)
        put(pipeline, device, swap=swap)
    except Exception as error:  # diffusers, transformers, safetensors and torch each have errors of their own
        raise ModelError(f"{spec.title}: cannot be loaded from {folder}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    if torch.device(device).type != "cpu":
        pipeline.vae.enable_slicing()  # one picture keeps a GPU busy, and many need much memory
    sizes = {"height": spec.height, "width": spec.width, "max_sequence_length": spec.max_sequence_length}
    kind_of_model = SD3FlowModel if spec.family == "sd3" else FluxFlowModel
    model = kind_of_model(pipeline, id=spec.id, swap=swap, **sizes)
    model.previewer = previewer_of(spec, dtype=dtype, device=device)
    return model
