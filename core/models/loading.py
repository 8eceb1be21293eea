"""From a pipeline folder to a FlowModel."""

import json
from pathlib import Path

import torch
from diffusers import FluxPipeline, StableDiffusion3Pipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from core.errors import ModelError
from core.models.flux import FluxFlowModel
from core.models.protocol import FlowModel
from core.models.registry import ModelSpec
from core.models.sd3 import SD3FlowModel


def load_folder(spec: ModelSpec, folder: Path, *, device: str = "cpu") -> FlowModel:
    """Load a diffusers pipeline folder as the model `spec` describes; only safetensors, only from this machine.

    On the CPU always in float32, whatever the files hold: half precision is slow there and overflows.
    """
    dtype = torch.float32 if torch.device(device).type == "cpu" else getattr(torch, spec.gpu_dtype)
    kind = StableDiffusion3Pipeline if spec.family == "sd3" else FluxPipeline
    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()  # whoever loads draws its own
    try:
        # diffusers saves a part that is not there (the embedded model has no T5) as null, and wants None to load it.
        index = json.loads((folder / "model_index.json").read_text())
        absent: dict[str, None] = {name: None for name, value in index.items() if value == [None, None]}
        pipeline = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True, **absent)
        pipeline.to(device)
    except Exception as error:  # diffusers, transformers, safetensors and torch each have errors of their own
        raise ModelError(f"{spec.title}: cannot be loaded from {folder}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    sizes = {"height": spec.height, "width": spec.width, "max_sequence_length": spec.max_sequence_length}
    model = SD3FlowModel if spec.family == "sd3" else FluxFlowModel
    return model(pipeline, id=spec.id, **sizes)
