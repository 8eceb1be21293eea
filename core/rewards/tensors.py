"""Tensors from a file, and nothing but tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import RewardError


def read_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """A file's tensors by key: safetensors, or a published .pt or .pth, of which only tensors are read.

    Raises RewardError, for the reward `name`, for a file that cannot be read or holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, pickle, zipfile and torch each have errors of their own
        raise RewardError(f"{name}: {path.name} cannot be read as tensors: {error!r:.300}") from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise RewardError(f"{name}: {path.name} is expected to hold tensors by name, and nothing else")
    return dict(found)


def load_strictly(
    module: nn.Module, tensors: Mapping[str, Tensor], name: str, *, constants: frozenset[str] = frozenset()
) -> None:
    """Fill a module with exactly its own tensors; `constants` may be in the file or not, and are not taken from it.

    Raises RewardError naming what is missing, foreign or of another shape: nothing may stay at random values.
    """
    own = {key: tuple(value.shape) for key, value in module.state_dict().items() if key not in constants}
    given = {key: tuple(value.shape) for key, value in tensors.items() if key not in constants}
    misfits = {
        "lacking": sorted(own.keys() - given.keys()),
        "foreign": sorted(given.keys() - own.keys()),
        "of another shape": sorted(key for key in own.keys() & given.keys() if own[key] != given[key]),
    }
    told = [f"{what}: {', '.join(keys[:2])}{_more(len(keys) - 2)}" for what, keys in misfits.items() if keys]
    if told:
        raise RewardError(f"{name}: the file does not fit the model ({'; '.join(told)})")
    module.load_state_dict({key: tensors[key] for key in own}, strict=False)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
