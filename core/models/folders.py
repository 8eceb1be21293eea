"""What a diffusers pipeline folder says of itself: its class, sizes and number of weights. Standard library only."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelError
from core.models.files import missing_from_pipeline, weight_files

PIPELINES = {"sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}
LARGEST = 512  # pixels a side: the size that searches and fine-tunes of the large models are run at
_WIDTH = ("num_attention_heads", "attention_head_dim")
_TEXT = ("text_encoder", "text_encoder_2", "text_encoder_3")


@dataclass(frozen=True)
class Folder:
    """A complete pipeline: pictures of `side` pixels, whether it reads prompts with T5, and its weights by part."""

    path: Path
    family: Literal["sd3", "flux"]
    side: int
    t5: bool
    distilled_guidance: bool
    transformer_weights: int
    transformer_width: int
    text_weights: int
    vae_weights: int


def describe(path: Path) -> Folder:
    """Read a pipeline folder. Raises ModelError where it is incomplete, or of another class than the lab can run."""
    path = Path(path).expanduser().resolve()
    missing = missing_from_pipeline(path)
    if missing:
        raise ModelError(f"{path}: expected a diffusers pipeline, but it lacks {missing}")
    index = _json(path / "model_index.json")
    family = next((name for name, kind in PIPELINES.items() if kind == index.get("_class_name")), None)
    if family is None:
        raise ModelError(f"{path}: expected a {' or '.join(PIPELINES.values())}, got {index.get('_class_name')!r:.60}")
    transformer, vae = _json(path / "transformer" / "config.json"), _json(path / "vae" / "config.json")
    scale = 2 ** (len(vae.get("block_out_channels", [0] * 4)) - 1)
    encoders = [name for name in _TEXT if (index.get(name) or [None])[0]]
    return Folder(
        path=path,
        family="sd3" if family == "sd3" else "flux",
        side=min(LARGEST, scale * int(transformer.get("sample_size") or 128)),
        t5=any(str(index[name][1]).startswith("T5") for name in encoders),
        distilled_guidance=bool(transformer.get("guidance_embeds")),
        transformer_weights=count_weights(path / "transformer"),
        transformer_width=math.prod(int(transformer.get(one, 0)) for one in _WIDTH),
        text_weights=sum(count_weights(path / name) for name in encoders),
        vae_weights=count_weights(path / "vae"),
    )


def count_weights(part: Path) -> int:
    """How many numbers the safetensors files of a pipeline's part hold, told by their headers. Raises ModelError."""
    return sum(math.prod(one["shape"]) for file in weight_files(part) for one in _header(file))


def _header(file: Path) -> list[dict[str, Any]]:
    """The tensors of a safetensors file: eight bytes of length, then as much JSON."""
    try:
        with open(file, "rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            found = json.loads(opened.read(min(length, 100_000_000)))
        return [one for name, one in found.items() if name != "__metadata__"]
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{file}: expected a safetensors file, but it cannot be read: {error}") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}
