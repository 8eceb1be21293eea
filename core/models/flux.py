"""FLUX.1 over diffusers' `FluxPipeline`: packed 2x2 latents inside, guidance by embedding (one forward a sample)."""

from typing import Any

import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline, calculate_shift
from torch import Tensor

from core.errors import ModelError
from core.models.placement import TextEncoders
from core.models.protocol import (
    Conditioning,
    check_finite,
    check_guidance,
    check_latents,
    check_sigma,
    decode_latents,
    schedule_of,
)


def pack(latents: Tensor) -> Tensor:
    """Latents (B, C, H, W) to the network's tokens (B, H W / 4, 4 C): each 2x2 patch is a token."""
    return FluxPipeline._pack_latents(latents, *latents.shape)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens (B, H W / 4, 4 C) to latents (B, C, H, W); `height` and `width` are those of the latents."""
    return FluxPipeline._unpack_latents(tokens, height, width, vae_scale_factor=1)


class FluxFlowModel:
    """A FlowModel over a FluxPipeline at one picture size (pixels), since its schedule depends on the size.

    The guidance scale goes into the network where the checkpoint was distilled for it (FLUX.1-dev) and is ignored where
    not (FLUX.1-schnell). Latents are unpacked (B, C, H, W) outside. With `swap` text encoders and transformer take
    turns on the device.
    """

    def __init__(
        self, pipeline: Any, *, id: str, height: int, width: int, max_sequence_length: int = 512, swap: bool = False
    ) -> None:
        """Wrap a loaded pipeline; raises ModelError for a size its patches do not divide."""
        self.id = id
        self.pipeline = pipeline
        self.max_sequence_length = max_sequence_length
        self.encoders = TextEncoders(pipeline, swap=swap)
        self.previewer: Any = None
        scale = pipeline.vae_scale_factor
        if height < 1 or width < 1 or height % (2 * scale) or width % (2 * scale):
            raise ModelError(f"{id}: expected height and width divisible by {2 * scale}, got {height} x {width}")
        self.latent_shape = (int(pipeline.transformer.config.in_channels) // 4, height // scale, width // scale)

    @property
    def device(self) -> torch.device:
        """Where the transformer's weights are."""
        return self.pipeline.transformer.proj_out.weight.device  # `transformer.device` walks through all layers

    @property
    def _dtype(self) -> torch.dtype:
        # Of a layer that no adapter wraps: with float32 LoRA weights inside, `transformer.dtype` may be the adapter's.
        return self.pipeline.transformer.proj_out.weight.dtype

    @property
    def tokens(self) -> int:
        """How many tokens a sample is to the transformer."""
        return self.latent_shape[1] * self.latent_shape[2] // 4 + self.max_sequence_length

    def sigmas(self, num_steps: int) -> tuple[float, ...]:
        """The pipeline's own schedule (num_steps + 1 values), shifted by resolution where its scheduler does so."""
        if num_steps < 1:
            raise ModelError(f"{self.id}: expected at least 1 step, got {num_steps}")
        config = self.pipeline.scheduler.config
        mu = calculate_shift(
            (self.latent_shape[1] // 2) * (self.latent_shape[2] // 2),
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        if config.get("use_flow_sigmas"):
            return schedule_of(self.pipeline.scheduler, self.id, num_steps, mu=mu)
        even = np.linspace(1.0, 1 / num_steps, num_steps)
        return schedule_of(self.pipeline.scheduler, self.id, num_steps, sigmas=even, mu=mu)

    @torch.no_grad()
    def encode(self, prompt: str, guidance_scale: float) -> Conditioning:
        """Read a prompt."""
        check_guidance(guidance_scale, self.id)
        return self.encoders.once((prompt, guidance_scale), lambda device: self._read(prompt, guidance_scale, device))

    def _read(self, prompt: str, guidance_scale: float, device: torch.device) -> Conditioning:
        embeds, pooled, _ = self.pipeline.encode_prompt(
            prompt=prompt, device=device, max_sequence_length=self.max_sequence_length
        )
        return Conditioning(prompt, guidance_scale, embeds.to(self._dtype), pooled.to(self._dtype))

    def nfe(self, conditioning: Conditioning) -> int:
        """Always 1: guidance is embedded."""
        return 1

    def velocity(self, latents: Tensor, sigma: float, conditioning: Conditioning) -> Tensor:
        """Velocity (B, C, H, W) float32."""
        check_latents(latents, self.latent_shape, self.id)
        check_sigma(sigma, self.id)
        count, (_, height, width) = len(latents), self.latent_shape
        device, dtype = self.device, self._dtype
        embeds = conditioning.prompt_embeds.expand(count, -1, -1)
        image_ids = FluxPipeline._prepare_latent_image_ids(count, height // 2, width // 2, device, dtype)
        # In float32 as the scheduler does it, then rounded to the weights' dtype as the pipeline does it.
        steps = self.pipeline.scheduler.config.num_train_timesteps
        timestep = (torch.tensor(sigma, dtype=torch.float32) * steps).to(device, dtype).expand(count)
        guidance = None
        if self.pipeline.transformer.config.guidance_embeds:
            guidance = torch.full([count], conditioning.guidance_scale, device=device, dtype=torch.float32)
        output = self.pipeline.transformer(
            hidden_states=pack(latents.to(device, dtype).contiguous()),
            timestep=timestep / 1000,
            guidance=guidance,
            pooled_projections=conditioning.pooled_embeds.expand(count, -1),
            encoder_hidden_states=embeds,
            txt_ids=torch.zeros(embeds.shape[1], 3, device=device, dtype=dtype),
            img_ids=image_ids,
            return_dict=False,
        )[0].float()
        velocity = unpack(output, height, width)
        return check_finite(velocity, latents, f"velocity at sigma {sigma:.4g}", self.id).to(latents.device)

    def preview(self, latents: Tensor) -> Tensor:
        """Pictures to look at and nothing else: by the preview decoder where there is one."""
        check_latents(latents, self.latent_shape, self.id)
        return decode_latents(self.previewer or self.pipeline.vae, latents, self.id)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) float32 in [0, 1]."""
        check_latents(latents, self.latent_shape, self.id)
        return decode_latents(self.pipeline.vae, latents, self.id)
