"""What every model must keep to, as a check that tests and plug-ins share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.models.protocol import FlowModel

TOLERANCE = 1e-3
PROMPTS = ("a photo of a red circle", "a photo of a blue square")
_PARTS = ("id", "latent_shape", "device", "sigmas", "encode", "velocity", "nfe", "decode")


def violations(model: FlowModel, name: str, *, tolerance: float = TOLERANCE) -> list[str]:
    """What a model registered as `name` does wrong; empty when all is well.

    Checked: every part of `core.models.protocol.FlowModel`; a schedule that falls from at most 1 to 0; velocities and
    pictures of the right shape, type, range and finite; the same when asked again; velocities that do not depend on the
    batch beyond `tolerance` (of their size) but do on the prompt; latents left as they were.
    """
    missing = [part for part in _PARTS if not hasattr(model, part)]
    if missing:
        return [f"it lacks {', '.join(missing)}: see core.models.protocol.FlowModel"]
    try:
        return [*_identity(model, name), *_schedule(model), *_tensors(model, tolerance)]
    except Exception as error:
        return [f"it failed with {type(error).__name__}: {error}"]


def _identity(model: FlowModel, name: str) -> list[str]:
    shape: Any = model.latent_shape
    fine = isinstance(shape, tuple) and len(shape) == 3 and all(type(size) is int and size > 0 for size in shape)
    found = [] if model.id == name else [f"it is registered as {name} and calls itself {model.id!r:.60}"]
    return found if fine else [*found, f"its latent_shape is expected to be (C, H, W), got {shape!r:.60}"]


def _schedule(model: FlowModel) -> list[str]:
    sigmas = model.sigmas(4)
    falls = all(high > low for high, low in zip(sigmas, sigmas[1:], strict=False))
    if len(sigmas) == 5 and falls and sigmas[0] <= 1 and sigmas[-1] == 0:
        return []
    return [f"its schedule of 4 steps is expected to fall from at most 1 to 0 in 5 noise levels, got {sigmas}"]


def _tensors(model: FlowModel, tolerance: float) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, *model.latent_shape, generator=generator)
    before = latents.clone()
    first, second = (model.encode(prompt, 4.5) for prompt in PROMPTS)
    found = [] if model.nfe(first) in (1, 2) else [f"nfe is expected to be 1 or 2, got {model.nfe(first)!r:.60}"]
    with torch.no_grad():
        whole = model.velocity(latents, 0.7, first)
        found += _shape("velocity", whole, latents.shape)
        if found:
            return found
        again, alone = model.velocity(latents, 0.7, first), model.velocity(latents[:1], 0.7, first)
        other = model.velocity(latents, 0.7, second)
        found += _pictures(lambda: model.decode(latents), len(latents))
    size = float(whole.abs().max())
    if not torch.equal(whole, again):
        found.append("its velocity is not repeatable")
    if float((whole[:1] - alone).abs().max()) > tolerance * size:
        found.append("its velocity depends on what else is in the batch")
    if torch.equal(whole, other):
        found.append("its velocity does not depend on the prompt")
    if not torch.equal(latents, before):
        found.append("it changed the latents it was given")
    return found


def _shape(what: str, values: Any, shape: tuple[int, ...]) -> list[str]:
    if not isinstance(values, Tensor) or values.shape != shape or values.dtype != torch.float32:
        got = f"{tuple(values.shape)} {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
        return [f"its {what} is expected to be float32 of shape {tuple(shape)}, got {got}"]
    return [] if bool(torch.isfinite(values).all()) else [f"its {what} is not finite everywhere"]


def _pictures(decode: Callable[[], Any], count: int) -> list[str]:
    pictures = decode()
    fine = isinstance(pictures, Tensor) and pictures.ndim == 4
    found = _shape("picture", pictures, (count, 3, *(pictures.shape[2:] if fine else (0, 0))))
    if found or (float(pictures.min()) >= 0 and float(pictures.max()) <= 1):
        return found
    return [f"its pictures are expected to lie in [0, 1], got {float(pictures.min()):g} to {float(pictures.max()):g}"]
