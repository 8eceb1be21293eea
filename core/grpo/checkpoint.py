"""A fine-tune's stored state as a folder: the adapter as diffusers reads it, and everything to go on from it.

`pytorch_lora_weights.safetensors` (`pipe.load_lora_weights(folder)`), the same of the averaged weights under `ema`,
`trainer.safetensors` (the optimiser's moments) and `trainer.json`, written last, with the digests of the others.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from core.errors import TrainError

LORA_FILE = "pytorch_lora_weights.safetensors"
EMA_FILE = f"ema/{LORA_FILE}"
MOMENTS_FILE, STATE_FILE = "trainer.safetensors", "trainer.json"
PREFIX = "transformer."  # of the adapter's names in diffusers' files
PACKAGES = ("torch", "diffusers", "transformers", "peft", "safetensors", "numpy")


def save(state: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Write a CheckpointMade's state into a new or empty folder; sha256 by relative path.

    Every file is flushed to the disk; `trainer.json` comes last, so a folder without it is no checkpoint. Making the
    folder appear at once (a temporary name, then a rename) is the caller's: it knows where the folder belongs.
    """
    contents = {LORA_FILE: _lora_bytes(state["lora"], state["adapter"])}
    if state["ema"]:
        contents[EMA_FILE] = _lora_bytes(state["ema"], state["adapter"])
    contents[MOMENTS_FILE] = to_bytes({name: one.contiguous() for name, one in state["moments"].items()})
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    plain = {name: value for name, value in state.items() if name not in ("lora", "ema", "moments")}
    told = {"state": plain, "sha256": digests, "versions": versions()}
    contents[STATE_FILE] = json.dumps(told, indent=1, allow_nan=False).encode()
    for name, content in contents.items():
        _write(folder / name, content)
    return digests | {STATE_FILE: hashlib.sha256(contents[STATE_FILE]).hexdigest()}


def load(folder: Path) -> dict[str, Any]:
    """The state that `save` wrote. Raises TrainError where it is incomplete or was changed."""
    try:
        told = json.loads((folder / STATE_FILE).read_text())
        digests, state = told["sha256"], told["state"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{folder} holds no complete checkpoint: {error!r}") from error
    for name, expected in digests.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise TrainError(f"the checkpoint in {folder} lacks {name}") from error
        if found != expected:
            raise TrainError(f"{name} in {folder} is not what was stored: expected sha256 {expected}, got {found}")
    return state | {
        "lora": _without_prefix(load_file(folder / LORA_FILE)),
        "ema": _without_prefix(load_file(folder / EMA_FILE)) if EMA_FILE in digests else {},
        "moments": load_file(folder / MOMENTS_FILE),
    }


def versions() -> dict[str, str]:
    """Python's and the packages' that a result depends on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def _lora_bytes(weights: Mapping[str, Tensor], adapter: Mapping[str, Any]) -> bytes:
    """A LoRA file as diffusers writes it: names under "transformer.", rank and alpha in the metadata."""
    metadata = json.dumps({f"{PREFIX}{name}": value for name, value in adapter.items()}, sort_keys=True)
    tensors = {f"{PREFIX}{name}": tensor.contiguous() for name, tensor in weights.items()}
    return to_bytes(tensors, metadata={"format": "pt", "lora_adapter_metadata": metadata})


def _without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
