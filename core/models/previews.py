"""Small decoders for guesses that are only looked at: 0.14 TFLOP a picture of 512 pixels, not 2.5, and nearly the same.

Never for a candidate, a final picture or latents that go on: what they draw is not what the model draws.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelError
from core.models.files import locate, missing_from_part

if TYPE_CHECKING:
    from core.models.registry import ModelSpec


@dataclass(frozen=True)
class Preview:
    """A decoder of diffusers' class AutoencoderTiny, for the latents of one family of models."""

    name: str
    title: str
    source: str
    megabytes: int = 10
    licence: str = "MIT"


# TAESD's decoders by Ollin Boer Bohan, for the 16 channels of SD3's latents and of FLUX.1's.
PREVIEWS = {
    "sd3": Preview("taesd3", "Preview decoder of SD3", "madebyollin/taesd3"),
    "flux": Preview("taef1", "Preview decoder of FLUX.1", "madebyollin/taef1"),
}
_wanted = False


def use_previews(wanted: bool) -> None:
    """Whether models that are loaded from now on draw with them what is only looked at. The embedded one has none."""
    global _wanted
    _wanted = wanted


def is_here(name: str) -> tuple[bool, str]:
    """Whether a preview decoder is on this machine, and if not why."""
    found = next(one for one in PREVIEWS.values() if one.name == name)
    folder, problem = _locate(found)
    return folder is not None, problem


def _locate(preview: Preview) -> tuple[Path | None, str]:
    folder, problem = locate(preview.source, embedded=False, missing_from=missing_from_part)
    return folder, problem.replace(f"download {preview.source}", f"download {preview.name}")


def previewer_of(spec: "ModelSpec", *, dtype: str, device: str) -> Any:
    """The loaded decoder for a model where previews are wanted, else None. ModelError where it is not here."""
    preview = PREVIEWS.get(spec.family)
    if not _wanted or preview is None or spec.embedded:
        return None
    folder, problem = _locate(preview)
    if folder is None:
        raise ModelError(f"{preview.title}: previews were asked for, but {problem}")
    import torch
    from diffusers import AutoencoderTiny

    try:
        decoder = AutoencoderTiny.from_pretrained(
            folder, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
        )
    except Exception as error:  # diffusers, safetensors and torch each have errors of their own
        raise ModelError(f"{preview.title}: cannot be loaded from {folder}: {error}") from error
    return decoder.to(device).eval().requires_grad_(False)
