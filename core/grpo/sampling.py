"""Batches of several prompts, and pictures by the ODE: what rollouts, held-out judgement and the judge share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core import noise
from core.denoise import euler
from core.models.protocol import Conditioning, FlowModel


def stack(parts: Sequence[Conditioning]) -> Conditioning:
    """Prompts as one batch: sample i of a velocity call is drawn for parts[i]; `prompt` names the first only."""

    def joined(name: str) -> Tensor | None:
        tensors = [getattr(part, name) for part in parts]
        return None if tensors[0] is None else torch.cat(tensors)

    return Conditioning(
        prompt=parts[0].prompt,
        guidance_scale=parts[0].guidance_scale,
        prompt_embeds=torch.cat([part.prompt_embeds for part in parts]),
        pooled_embeds=torch.cat([part.pooled_embeds for part in parts]),
        negative_prompt_embeds=joined("negative_prompt_embeds"),
        negative_pooled_embeds=joined("negative_pooled_embeds"),
    )


def chunks(count: int, size: int) -> list[range]:
    """The numbers 0 to count - 1 in consecutive parts of at most `size`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def fixed_noise(shape: tuple[int, ...], purpose: str, indices: Sequence[int], seed: int = 0) -> Tensor:
    """Starting noises (B, C, H, W) that are the same in every run: number i is the stream (seed, purpose, i)."""
    return torch.cat([noise.normal(shape, seed, purpose, i) for i in indices])


@torch.no_grad()
def pictures(
    model: FlowModel, conditionings: Sequence[Conditioning], starts: Tensor, sigmas: Sequence[float], batch_size: int
) -> Tensor:
    """Pictures (B, 3, h, w) in [0, 1] by the ODE along `sigmas` from `starts` (B, C, H, W)."""
    found = []
    for part in chunks(len(starts), batch_size):
        batch = stack([conditionings[i] for i in part])

        def velocity(x: Tensor, sigma: float, batch: Conditioning = batch) -> Tensor:
            return model.velocity(x, sigma, batch)

        ends = euler(starts[part.start : part.stop], sigmas, velocity)
        found.append(model.decode(ends))
    return torch.cat(found)
