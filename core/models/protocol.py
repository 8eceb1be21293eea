"""What the lab needs of a flow-matching text-to-image model, and the checks that every implementation shares.

Conventions: x_0 is data, x_1 noise, `x_sigma = (1 - sigma) x_0 + sigma x_1`, velocity `x_1 - x_0`; sampling runs from
sigma 1 to 0. Latents are (B, C, H, W) in model space, unpacked, whatever the network wants inside.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from core.errors import ModelError
from core.microbatch import is_out_of_memory, release_memory


@dataclass(frozen=True, eq=False)
class Conditioning:
    """A prompt as the network reads it, encoded once per session.

    `prompt_embeds` (1, L, D) and `pooled_embeds` (1, P) in the network's dtype; the `negative_*` pair is there only
    with classifier-free guidance, and then every velocity costs two forwards a sample.
    """

    prompt: str
    guidance_scale: float
    prompt_embeds: Tensor
    pooled_embeds: Tensor
    negative_prompt_embeds: Tensor | None = None
    negative_pooled_embeds: Tensor | None = None


class FlowModel(Protocol):
    """A flow-matching text-to-image model. Results come back in float32 on the device of the latents passed in."""

    @property
    def id(self) -> str:
        """The registry's name of the model."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one sample."""

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""

    def sigmas(self, num_steps: int) -> tuple[float, ...]:
        """The schedule: num_steps + 1 noise levels, falling from the schedule's first (1 as a rule) to 0."""

    def encode(self, prompt: str, guidance_scale: float) -> Conditioning:
        """Read a prompt. Longer ones are cut at the text encoders' limits."""

    def velocity(self, latents: Tensor, sigma: float, conditioning: Conditioning) -> Tensor:
        """Velocity (B, C, H, W) float32 at `sigma`, guidance applied. Records gradients where they are enabled.

        Raises ModelError for latents of another shape and for values that are not finite.
        """

    def nfe(self, conditioning: Conditioning) -> int:
        """Sample-forwards per sample and velocity: 2 with a guidance pair, else 1."""

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) float32 in [0, 1] of latents at sigma 0."""


def check_latents(latents: Tensor, latent_shape: tuple[int, int, int], model: str) -> None:
    """Raise ModelError unless latents are a batch of `latent_shape`."""
    if latents.ndim != 4 or tuple(latents.shape[1:]) != latent_shape or not len(latents):
        expected = ", ".join(map(str, latent_shape))
        raise ModelError(f"{model}: expected latents of shape (B, {expected}), got {tuple(latents.shape)}")


def check_sigma(sigma: float, model: str) -> None:
    """Raise ModelError unless sigma is a noise level."""
    if not 0 <= sigma <= 1:
        raise ModelError(f"{model}: expected a sigma from 0 to 1, got {sigma!r}")


def check_finite(values: Tensor, latents: Tensor, what: str, model: str) -> Tensor:
    """Return `values` (B, ...) as they are, or raise ModelError saying how many are not finite, and in which samples.

    `latents` is what they were computed from: when that was broken already, the message says so.
    """
    broken = ~torch.isfinite(values)
    if not broken.any():
        return values
    samples = torch.nonzero(broken.flatten(1).any(1)).flatten().tolist()
    if not torch.isfinite(latents).all():
        cause = "the latents passed in were not finite already"
    else:
        cause = f"the latents passed in were finite, up to {float(latents.abs().max()):.3g}"
    raise ModelError(
        f"{model} gave {int(broken.sum())} of {values.numel()} values that are not finite in its {what} "
        f"(samples {_listed(samples)} of {len(values)}); {cause}"
    )


def schedule_of(scheduler: Any, model: str, num_steps: int, **arguments: Any) -> tuple[float, ...]:
    """The noise levels a diffusers flow-matching scheduler visits, with its final 0. The scheduler is left as it was.

    `arguments` go to `set_timesteps` (`sigmas`, `mu`). Raises ModelError where they do not fall from at most 1 to 0.
    """
    if num_steps < 1:
        raise ModelError(f"{model}: expected at least 1 step, got {num_steps}")
    own = copy.deepcopy(scheduler)
    if "sigmas" not in arguments:
        arguments["num_inference_steps"] = num_steps
    own.set_timesteps(device="cpu", **arguments)
    sigmas = tuple(float(sigma) for sigma in own.sigmas)
    falls = all(high > low for high, low in zip(sigmas, sigmas[1:], strict=False))
    if len(sigmas) != num_steps + 1 or not falls or sigmas[0] > 1 or sigmas[-1] != 0:
        raise ModelError(f"{model}: expected {num_steps} noise levels falling from 1 to 0, the scheduler gave {sigmas}")
    return sigmas


def check_guidance(guidance_scale: float, model: str) -> None:
    """Raise ModelError unless the guidance scale is a finite number from 0 up."""
    if not (math.isfinite(guidance_scale) and guidance_scale >= 0):
        raise ModelError(f"{model}: expected a guidance scale of 0 or more, got {guidance_scale!r}")


def decode_latents(vae: Any, latents: Tensor, model: str) -> Tensor:
    """Decode model-space latents (B, C, H, W) with an AutoencoderKL: pictures (B, 3, h, w) float32 in [0, 1]."""
    raw = latents.float() / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    with torch.no_grad():
        decoded = _decode(vae, raw.to(vae.device, vae.dtype)).float()
    pictures = (decoded / 2 + 0.5).clamp(0, 1)
    return check_finite(pictures, latents, "decoded pictures", model).to(latents.device)


def _decode(vae: Any, raw: Tensor) -> Tensor:
    """Decode; where one picture does not fit in memory, in overlapping tiles, whose seams are blended."""
    try:
        return vae.decode(raw, return_dict=False)[0]
    except Exception as error:
        if len(raw) > 1 or vae.use_tiling or not is_out_of_memory(error) or "block_out_channels" not in vae.config:
            raise
    release_memory()
    vae.tile_latent_min_size = max(raw.shape[2:]) // 2
    vae.tile_sample_min_size = vae.tile_latent_min_size * 2 ** (len(vae.config.block_out_channels) - 1)
    vae.enable_tiling()
    return vae.decode(raw, return_dict=False)[0]


def _listed(samples: list[int], limit: int = 8) -> str:
    shown = ", ".join(map(str, samples[:limit]))
    return shown if len(samples) <= limit else f"{shown} and {len(samples) - limit} more"
