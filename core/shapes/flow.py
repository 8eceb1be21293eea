"""The embedded world's flow-matching model: an SD3 transformer and its two text encoders, trained together."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from core.shapes.clip import tokenize
from core.shapes.scenes import SECOND_TASK_WEIGHTS, SHAPES, TASK_WEIGHTS, Caption, Phrase, Task, draw, sample_pairs
from core.shapes.tokenizer import MAX_LENGTH
from core.shapes.training import TrainConfig, train
from core.shapes.vae import encode

CONFIG = TrainConfig(
    steps=7_200,
    batch_size=64,
    learning_rate=1e-3,
    weight_decay=0.01,
    warmup=300,
    ema_decay=0.999,
    cooldown=0.25,
    seed=3,
)
# A second training from the averaged weights of the first, on new scenes with more open colours.
SECOND = TrainConfig(
    steps=8_000,
    batch_size=64,
    learning_rate=1e-3,
    weight_decay=0.01,
    warmup=300,
    ema_decay=0.999,
    cooldown=0.3,
    seed=5,
)
NUM_SCENES = 60_000
EMPTY_SHARE = 0.1  # captions left out, for classifier-free guidance
LOGIT_MEAN = 0.5  # of the logit-normal times; above 0, because layout and counts are decided at high noise
HEADS, HEAD_WIDTH, LAYERS = 2, 64, 5
TEXT_WIDTHS = (128, 64)


class FlowNet(nn.Module):
    """Transformer and text encoders as one module; `forward` is the velocity of noisy latents under token ids."""

    def __init__(self, tokenizer: CLIPTokenizer):
        super().__init__()
        self.transformer = SD3Transformer2DModel(
            sample_size=8,
            patch_size=1,
            in_channels=16,
            out_channels=16,
            num_layers=LAYERS,
            num_attention_heads=HEADS,
            attention_head_dim=HEAD_WIDTH,
            caption_projection_dim=HEADS * HEAD_WIDTH,
            joint_attention_dim=sum(TEXT_WIDTHS),
            pooled_projection_dim=sum(TEXT_WIDTHS),
            pos_embed_max_size=8,
        )
        self.text_encoders = nn.ModuleList(_text_encoder(tokenizer, width) for width in TEXT_WIDTHS)

    def forward(self, latents: Tensor, sigma: Tensor, tokens: Tensor) -> Tensor:
        """Velocity (B, 16, 8, 8) at latents (B, 16, 8, 8), sigma (B,), tokens (B, MAX_LENGTH)."""
        outs = [encoder(tokens, output_hidden_states=True) for encoder in self.text_encoders]
        return self.transformer(
            hidden_states=latents,
            timestep=sigma * 1000,
            encoder_hidden_states=torch.cat([out.hidden_states[-2] for out in outs], dim=-1),
            pooled_projections=torch.cat([out.text_embeds for out in outs], dim=-1),
            return_dict=False,
        )[0]


def _text_encoder(tokenizer: CLIPTokenizer, width: int) -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=3 * width,
            projection_dim=width,
            num_hidden_layers=3,
            num_attention_heads=2,
            max_position_embeddings=MAX_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def encoded_scenes(
    vae: AutoencoderKL, tokenizer: CLIPTokenizer, path: Path, seed: int, weights: dict[Task, float]
) -> tuple[Tensor, Tensor]:
    """Latents (N, 16, 8, 8) and tokens (N, MAX_LENGTH) of a training's scenes, kept in the file `path`."""
    if not path.exists():
        pairs = sample_pairs(seed, NUM_SCENES, weights=weights)
        chunks = [pairs[i : i + 1000] for i in range(0, NUM_SCENES, 1000)]
        latents = torch.cat([encode(vae, np.stack([draw(scene) for _, scene in chunk])) for chunk in chunks])
        tokens = torch.cat([tokenize(tokenizer, [caption.text() for caption, _ in chunk]) for chunk in chunks])
        save_file({"latents": latents.contiguous(), "tokens": tokens.contiguous()}, path)
    loaded = load_file(path)
    return loaded["latents"], loaded["tokens"]


def finishing_pool(tokens: Tensor, tokenizer: CLIPTokenizer) -> Tensor:
    """Indices of the training scenes for the first cooldown: single objects four times, uncoloured pairs twice.

    Captions that leave the colour open are rare in training but come out worst (colours run into each other).
    """
    singles = [Caption("single_object", (Phrase(shape),)) for shape in SHAPES]
    doubles = [Caption("two_objects", (Phrase(a), Phrase(b))) for a in SHAPES for b in SHAPES if a != b]
    repeats = torch.ones(len(tokens), dtype=torch.long)
    for captions, times in ((singles, 4), (doubles, 2)):
        for row in tokenize(tokenizer, [caption.text() for caption in captions]):
            repeats[(tokens == row).all(1)] = times
    return torch.repeat_interleave(torch.arange(len(tokens)), repeats)


def flow_loss(
    net: nn.Module, latents: Tensor, tokens: Tensor, empty: Tensor, pool: Tensor, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch from `pool` on rectified-flow pairs x_t = (1 - sigma) x_0 + sigma x_1, target v = x_1 - x_0."""
    count = CONFIG.batch_size
    chosen = pool[torch.randint(len(pool), (count,), generator=generator)]
    data, noise = latents[chosen], torch.randn(count, *latents.shape[1:], generator=generator)
    sigma = torch.sigmoid(LOGIT_MEAN + torch.randn(count, generator=generator))
    dropped = torch.rand(count, 1, generator=generator) < EMPTY_SHARE
    mixed = torch.lerp(data, noise, sigma[:, None, None, None])
    velocity = net(mixed, sigma, torch.where(dropped, empty, tokens[chosen]))
    loss = (velocity.float() - (noise - data)).pow(2).mean()
    return loss, {"loss": float(loss.detach())}


def train_flow(work: Path, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> FlowNet:
    """Train (or resume) twice: all scenes, ending on the finishing pool; then new scenes with more open colours."""
    empty = tokenize(tokenizer, [""])
    first = encoded_scenes(vae, tokenizer, work / "scenes.safetensors", CONFIG.seed, TASK_WEIGHTS)
    everything, finishing = torch.arange(NUM_SCENES), finishing_pool(first[1], tokenizer)
    cooldown_start = round(CONFIG.steps * (1 - CONFIG.cooldown))

    def first_loss(net: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return flow_loss(net, *first, empty, everything if step < cooldown_start else finishing, generator)

    torch.manual_seed(CONFIG.seed)
    net = train(FlowNet(tokenizer), first_loss, CONFIG, work / "flow")
    second = encoded_scenes(vae, tokenizer, work / "scenes-second.safetensors", SECOND.seed, SECOND_TASK_WEIGHTS)

    def second_loss(net: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return flow_loss(net, *second, empty, everything, generator)

    return train(net.train().requires_grad_(), second_loss, SECOND, work / "flow-second")


def build_pipeline(net: FlowNet, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> StableDiffusion3Pipeline:
    """The diffusers pipeline of the parts; call it with max_sequence_length=0: it was trained without T5's zeros."""
    return StableDiffusion3Pipeline(
        transformer=net.transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=net.text_encoders[0],
        tokenizer=tokenizer,
        text_encoder_2=net.text_encoders[1],
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
        image_encoder=None,
        feature_extractor=None,
    )
