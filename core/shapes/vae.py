"""The embedded world's AutoencoderKL: 64x64 pictures to 8x8 latents of 16 channels and back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from core.shapes.scenes import IMAGE_SIZE, draw, sample_pairs
from core.shapes.training import TrainConfig, train

# Planned for 3,600 steps and ended halfway, at 33 dB: the flow model needs the time more.
CONFIG = TrainConfig(steps=3600, stop=1800, batch_size=32, learning_rate=2e-3, warmup=100, ema_decay=0.998, seed=1)
KL_WEIGHT = 1e-6
NUM_SCENES = 24_000


def build_vae(seed: int = CONFIG.seed) -> AutoencoderKL:
    """A randomly initialised VAE of the world's size (one million parameters)."""
    torch.manual_seed(seed)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def to_tensor(images: np.ndarray) -> Tensor:
    """Pictures (B, H, W, 3) uint8 to (B, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def draw_scenes(seed: int, count: int) -> np.ndarray:
    """Drawings (count, H, W, 3) uint8 of `sample_pairs(seed, count)`."""
    return np.stack([draw(scene) for _, scene in sample_pairs(seed, count)])


def reconstruction_loss(
    images: np.ndarray, batch_size: int
) -> Callable[[nn.Module, int, torch.Generator], tuple[Tensor, dict[str, float]]]:
    """L1 and squared error with a slight KL term, on random batches of `images`."""

    def loss_of(vae: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        pixels = to_tensor(images[torch.randint(len(images), (batch_size,), generator=generator).numpy()])
        posterior = vae.encode(pixels).latent_dist
        decoded = vae.decode(posterior.sample(generator)).sample.float()
        squared = (decoded - pixels).pow(2).mean()
        loss = squared + 0.2 * (decoded - pixels).abs().mean() + KL_WEIGHT * posterior.kl().float().mean()
        return loss, {"psnr": -10 * float(torch.log10(squared.detach() / 4)), "kl": float(posterior.kl().mean())}

    return loss_of


def train_vae(work: Path) -> AutoencoderKL:
    """Train (or resume) the VAE and set `scaling_factor` and `shift_factor` so that latents have unit variance."""
    images = draw_scenes(CONFIG.seed, NUM_SCENES)
    vae = train(build_vae(), reconstruction_loss(images, CONFIG.batch_size), CONFIG, work / "vae")
    latents = encode(vae, images[:2000], scale=False)
    vae.register_to_config(scaling_factor=float(1 / latents.std()), shift_factor=float(latents.mean()))
    return vae


@torch.no_grad()
def encode(vae: AutoencoderKL, images: np.ndarray, *, scale: bool = True, batch_size: int = 64) -> Tensor:
    """Latents (B, 16, 8, 8) of pictures (B, H, W, 3) uint8: posterior means, in model space when `scale`."""
    parts = [
        vae.encode(to_tensor(images[i : i + batch_size])).latent_dist.mode() for i in range(0, len(images), batch_size)
    ]
    latents = torch.cat(parts)
    return (latents - vae.config.shift_factor) * vae.config.scaling_factor if scale else latents


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor, batch_size: int = 64) -> np.ndarray:
    """Pictures (B, H, W, 3) uint8 of model-space latents."""
    raw = latents / vae.config.scaling_factor + vae.config.shift_factor
    parts = [vae.decode(raw[i : i + batch_size]).sample for i in range(0, len(raw), batch_size)]
    pixels = (torch.cat(parts) * 127.5 + 127.5).round().clamp(0, 255)
    return pixels.permute(0, 2, 3, 1).to(torch.uint8).numpy()
