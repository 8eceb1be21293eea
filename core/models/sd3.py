"""Stable Diffusion 3 and 3.5 over diffusers' `StableDiffusion3Pipeline`; the embedded world's model is one of them."""

from typing import Any

import torch
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import calculate_shift
from torch import Tensor

from core.errors import ModelError
from core.models.memory import CLIP_TOKENS
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


class SD3FlowModel:
    """A FlowModel over a StableDiffusion3Pipeline, with or without its T5 encoder.

    `height` and `width` are in pixels, the pipeline's own size by default. `max_sequence_length` counts T5's tokens;
    without T5 the pipeline appends as many zero embeddings, so a model trained without them needs 0. With `swap` text
    encoders and transformer take turns on the device.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        id: str,
        max_sequence_length: int = 256,
        height: int | None = None,
        width: int | None = None,
        swap: bool = False,
    ) -> None:
        """Wrap a loaded pipeline; raises ModelError for a size its patches do not divide."""
        self.id = id
        self.pipeline = pipeline
        self.max_sequence_length = max_sequence_length
        self.encoders = TextEncoders(pipeline, swap=swap)
        self.previewer: Any = None
        default = pipeline.default_sample_size * pipeline.vae_scale_factor
        height, width = height or default, width or default
        unit = pipeline.vae_scale_factor * pipeline.patch_size
        if height % unit or width % unit:
            raise ModelError(f"{id}: expected height and width divisible by {unit}, got {height} x {width}")
        scale = pipeline.vae_scale_factor
        self.latent_shape = (int(pipeline.transformer.config.in_channels), height // scale, width // scale)

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
        """How many tokens a sample with its guidance pair is to the transformer."""
        _, height, width = self.latent_shape
        return 2 * (height * width // self.pipeline.patch_size**2 + CLIP_TOKENS + self.max_sequence_length)

    def sigmas(self, num_steps: int) -> tuple[float, ...]:
        """The pipeline's own schedule (num_steps + 1 values), shifted by resolution where its scheduler does so."""
        config = self.pipeline.scheduler.config
        if not config.get("use_dynamic_shifting"):
            return schedule_of(self.pipeline.scheduler, self.id, num_steps)
        patch = self.pipeline.transformer.config.patch_size
        mu = calculate_shift(
            (self.latent_shape[1] // patch) * (self.latent_shape[2] // patch),
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.16),
        )
        return schedule_of(self.pipeline.scheduler, self.id, num_steps, mu=mu)

    @torch.no_grad()
    def encode(self, prompt: str, guidance_scale: float) -> Conditioning:
        """Read a prompt; above a guidance scale of 1 the empty prompt too, else every velocity is one forward."""
        check_guidance(guidance_scale, self.id)
        return self.encoders.once((prompt, guidance_scale), lambda device: self._read(prompt, guidance_scale, device))

    def _read(self, prompt: str, guidance_scale: float, device: torch.device) -> Conditioning:
        guided = guidance_scale > 1
        positive, negative, pooled, negative_pooled = self.pipeline.encode_prompt(
            prompt=prompt,
            prompt_2=None,
            prompt_3=None,
            device=device,
            do_classifier_free_guidance=guided,
            max_sequence_length=self.max_sequence_length,
        )
        return Conditioning(
            prompt=prompt,
            guidance_scale=guidance_scale,
            prompt_embeds=positive.to(self._dtype),
            pooled_embeds=pooled.to(self._dtype),
            negative_prompt_embeds=negative.to(self._dtype) if guided else None,
            negative_pooled_embeds=negative_pooled.to(self._dtype) if guided else None,
        )

    def nfe(self, conditioning: Conditioning) -> int:
        """2 with a guidance pair, else 1."""
        return 1 if conditioning.negative_prompt_embeds is None else 2

    def velocity(self, latents: Tensor, sigma: float, conditioning: Conditioning) -> Tensor:
        """Velocity (B, C, H, W) float32 with classifier-free guidance; the pair runs as one batch, as in diffusers."""
        check_latents(latents, self.latent_shape, self.id)
        check_sigma(sigma, self.id)
        count, inputs = len(latents), latents.to(self.device, self._dtype)
        embeds = conditioning.prompt_embeds.expand(count, -1, -1)
        pooled = conditioning.pooled_embeds.expand(count, -1)
        negative, negative_pooled = conditioning.negative_prompt_embeds, conditioning.negative_pooled_embeds
        if negative is not None and negative_pooled is not None:
            inputs = torch.cat([inputs, inputs])
            embeds = torch.cat([negative.expand(count, -1, -1), embeds])
            pooled = torch.cat([negative_pooled.expand(count, -1), pooled])
        # In float32 as the scheduler does it, so that the network sees the very timesteps of the pipeline.
        timestep = torch.tensor(sigma, dtype=torch.float32) * self.pipeline.scheduler.config.num_train_timesteps
        output = self.pipeline.transformer(
            hidden_states=inputs,
            timestep=timestep.to(self.device).expand(len(inputs)),
            encoder_hidden_states=embeds,
            pooled_projections=pooled,
            return_dict=False,
        )[0].float()
        if negative is not None:
            unguided, guided = output.chunk(2)
            output = unguided + conditioning.guidance_scale * (guided - unguided)
        return check_finite(output, latents, f"velocity at sigma {sigma:.4g}", self.id).to(latents.device)

    def preview(self, latents: Tensor) -> Tensor:
        """Pictures to look at and nothing else: by the preview decoder where there is one."""
        check_latents(latents, self.latent_shape, self.id)
        return decode_latents(self.previewer or self.pipeline.vae, latents, self.id)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) float32 in [0, 1]."""
        check_latents(latents, self.latent_shape, self.id)
        return decode_latents(self.pipeline.vae, latents, self.id)
