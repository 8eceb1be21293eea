"""`python -m tests.benchmarks.sd35 [--tiny]`: a K = 16 search with SD3.5 Medium at true size and random weights.

Random weights take as long as trained ones. Its text encoders are left out: they read a prompt once and wait outside.
Without a GPU, or with --tiny, the same is run at tiny size, which shows only that it runs.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core import noise
from core.ceiling import matrix_product_rate, synchronize
from core.config import ExploreConfig, SearchConfig
from core.events import IterationScored
from core.explore import explore
from core.models.memory import CLIP_TOKENS
from core.models.protocol import Conditioning
from core.models.registry import find
from core.models.sd3 import SD3FlowModel
from tests import tiny
from tests.benchmarks.measuring import PROMPT, rounded

# The makers' published configurations of its transformer and decoder.
TRANSFORMER: dict[str, Any] = {
    "sample_size": 128, "patch_size": 2, "in_channels": 16, "out_channels": 16, "num_layers": 24,
    "attention_head_dim": 64, "num_attention_heads": 24, "joint_attention_dim": 4096, "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048, "pos_embed_max_size": 384, "dual_attention_layers": tuple(range(13)),
    "qk_norm": "rms_norm",
}  # fmt: skip
DECODER: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 16, "sample_size": 1024,
    "scaling_factor": 1.5305, "shift_factor": 0.0609, "use_quant_conv": False, "use_post_quant_conv": False,
}  # fmt: skip
CANDIDATES, ITERATIONS, GUIDANCE, WARM_UP = 16, 5, 4.5, 3


class Unread(SD3FlowModel):
    """A model whose prompts are random embeddings: it has no text encoders."""

    def encode(self, prompt: str, guidance_scale: float) -> Conditioning:
        """Embeddings of the right shapes, the same ones every time."""
        config = self.pipeline.transformer.config
        shapes = (
            (1, CLIP_TOKENS + self.max_sequence_length, config.joint_attention_dim),
            (1, config.pooled_projection_dim),
        )

        def drawn(index: int, shape: tuple[int, ...]) -> Tensor:
            return noise.normal(shape[1:], 0, "embeddings", index).to(self.device, self._dtype)

        return Conditioning(prompt, guidance_scale, *(drawn(i, shapes[i % 2]) for i in range(4)))


@dataclass(frozen=True)
class Brightness:
    """A reward that costs nothing: what is timed is the model and the search."""

    name: str = "brightness"

    def __call__(self, images: Tensor, prompts: Any) -> Tensor:
        """Mean of every picture."""
        return images.mean((1, 2, 3))


def sd35() -> dict[str, Any]:
    """Candidates a second and memory of a K = 16 search on a GPU, beside the bare model and matrix products."""
    return measured(tiny_size=not torch.cuda.is_available())


def measured(*, tiny_size: bool) -> dict[str, Any]:
    """The figures; at true size on the GPU in bfloat16, at tiny size on the CPU in float32."""
    model = tiny_model() if tiny_size else true_model()
    place, dtype = model.device, str(model.pipeline.transformer.dtype).removeprefix("torch.")
    search = SearchConfig(num_candidates=CANDIDATES, num_iterations=1 if tiny_size else ITERATIONS)
    torch.set_num_threads(ExploreConfig.threads)
    config = ExploreConfig(PROMPT, search=search, guidance_scale=GUIDANCE, rewards={"brightness": 1.0}, arms=())
    bare, work = _bare(model, config)
    for _ in range(WARM_UP):
        bare()
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    began = time.perf_counter()
    scored = [one for one in explore(config, model, {"brightness": Brightness()}) if isinstance(one, IterationScored)]
    synchronize(place)
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated(place) if place.type == "cuda" else 0
    alone = len(scored) * min(_timed(bare, place) for _ in range(WARM_UP))
    ceiling = matrix_product_rate(str(place), dtype, size=256 if tiny_size else None)
    return {
        "size": "tiny: says nothing about the model" if tiny_size else "true",
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu",
        "torch": str(torch.__version__),
        "dtype": dtype,
        "batch_size": scored[0].batch_size,
        "candidates": CANDIDATES * len(scored),
        "search_seconds": seconds,
        "candidates_per_second": CANDIDATES * len(scored) / seconds,
        "bare_model_share": alone / seconds,
        "bare_tflop_per_second": len(scored) * work / alone / 1e12,
        "matrix_product_tflop_per_second": ceiling / 1e12,
        "share_of_ceiling": len(scored) * work / alone / ceiling,
        "peak_memory_gb": peak / 1e9,
        "text_encoders_outside_gb": 0.0 if tiny_size else 2e-9 * _text_weights(),
    }


def true_model() -> SD3FlowModel:
    """Medium at 512 pixels on the GPU in bfloat16. About 5 GB."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            return _model(SD3Transformer2DModel(**TRANSFORMER), AutoencoderKL(**DECODER), side=512, tokens=256)
    finally:
        torch.set_default_dtype(before)


def tiny_model() -> SD3FlowModel:
    """The tests' SD3 of 16 pixels."""
    pipeline = tiny.sd3_pipeline()
    return _model(pipeline.transformer, pipeline.vae, side=16, tokens=16)


def _model(transformer: Any, vae: Any, *, side: int, tokens: int) -> SD3FlowModel:
    absent = ("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer.eval().requires_grad_(False),
        vae=vae.eval().requires_grad_(False),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        **dict.fromkeys(absent),
    )
    vae.enable_slicing()
    return Unread(pipeline, id="sd3.5-random", height=side, width=side, max_sequence_length=tokens)


def _bare(model: SD3FlowModel, config: ExploreConfig) -> tuple[Callable[[], None], float]:
    """One iteration's work of network and decoder, and nothing else; and how many operations it is."""
    conditioning = model.encode(PROMPT, GUIDANCE)
    latents = noise.candidates(model.latent_shape, CANDIDATES, 0, "bare").to(model.device)

    def work() -> None:
        with torch.no_grad():
            for part in latents.split(config.batch_size):
                model.velocity(part, 0.7, conditioning)
            model.decode(latents)

    with FlopCounterMode(display=False) as counter:
        work()
    return work, float(counter.get_total_flops())


def _timed(work: Callable[[], None], place: torch.device) -> float:
    synchronize(place)
    began = time.perf_counter()
    work()
    synchronize(place)
    return time.perf_counter() - began


def _text_weights() -> int:
    spec = find("sd3.5-medium")
    return spec.text_weights if spec else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="at tiny size on the CPU, to see that it runs")
    print(json.dumps(rounded(measured(tiny_size=parser.parse_args().tiny or not torch.cuda.is_available())), indent=1))
