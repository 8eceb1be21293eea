"""Tiny pipelines and CLIP models of the real classes with random weights: seconds become milliseconds."""

from functools import cache
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from core.models.flux import FluxFlowModel
from core.models.sd3 import SD3FlowModel
from core.rewards.clip import CLIPReward
from core.shapes.scenes import sample_pairs

MAX_LENGTH = 24
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


@cache
def clip_tokenizer() -> CLIPTokenizer:
    """A byte-pair tokenizer learned from a few captions; texts of up to 24 tokens."""
    captions = [caption.text() for caption, _ in sample_pairs(0, 200)]
    return CLIPTokenizer(model_max_length=MAX_LENGTH).train_new_from_iterator(captions, vocab_size=600)


@cache
def t5_tokenizer() -> T5TokenizerFast:
    """A unigram tokenizer of letters and a few words."""
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    letters = [(letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    words = [(f"▁{word}", -3.0) for word in ["a", "photo", "of", "red", "blue", "circle", "square"]]
    return T5TokenizerFast(vocab=marks + letters + words, extra_ids=0, model_max_length=32)


def _text_config(width: int) -> CLIPTextConfig:
    tokenizer = clip_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _t5(width: int) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=len(t5_tokenizer()), d_model=width, d_kv=8, d_ff=2 * width, num_layers=1, num_heads=2)
    )


def _vae(latent_channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=2,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.5,
        shift_factor=0.06,
    )


def _shake(*modules: torch.nn.Module) -> None:
    """Fresh layers start near zero, where every formula looks right: give the weights a size that matters."""
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 and "embed" not in name:
                torch.nn.init.normal_(parameter, std=0.8 / parameter[0].numel() ** 0.5)
        module.eval().requires_grad_(False)


def sd3_pipeline(*, t5: bool = False, seed: int = 0, **scheduler: Any) -> StableDiffusion3Pipeline:
    """A StableDiffusion3Pipeline of 16x16 pictures and (4, 8, 8) latents; `scheduler` overrides shift 3."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformer = SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=32,
            caption_projection_dim=16,
            pooled_projection_dim=32,
            out_channels=4,
            pos_embed_max_size=12,
            qk_norm="rms_norm",
        )
        encoders = CLIPTextModelWithProjection(_text_config(16)), CLIPTextModelWithProjection(_text_config(16))
        vae, third = _vae(4), _t5(32) if t5 else None
        _shake(transformer, vae, *encoders, *([third] if third else []))
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(**({"shift": 3.0} | scheduler)),
        vae=vae,
        text_encoder=encoders[0],
        tokenizer=clip_tokenizer(),
        text_encoder_2=encoders[1],
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=third,
        tokenizer_3=t5_tokenizer() if t5 else None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sd3_model(*, t5: bool = False, seed: int = 0, **scheduler: Any) -> SD3FlowModel:
    """The tiny SD3 pipeline as a model; 16 T5 tokens with T5, none without."""
    return SD3FlowModel(sd3_pipeline(t5=t5, seed=seed, **scheduler), id="tiny-sd3", max_sequence_length=16 if t5 else 0)


def flux_pipeline(*, guidance_embeds: bool = True, seed: int = 0, **scheduler: Any) -> FluxPipeline:
    """A FluxPipeline with (4, H/2, W/2) latents and dynamic shift; `scheduler` overrides."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformer = FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=guidance_embeds,
        )
        vae, clip, t5 = _vae(4), CLIPTextModel(_text_config(16)), _t5(32)
        _shake(transformer, vae, clip, t5)
    dynamic = {"shift": 3.0, "use_dynamic_shifting": True, "base_image_seq_len": 4, "max_image_seq_len": 64}
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**(dynamic | scheduler)),
        vae=vae,
        text_encoder=clip,
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5,
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def flux_model(*, height: int = 16, width: int = 24, guidance_embeds: bool = True, **scheduler: Any) -> FluxFlowModel:
    """The tiny FLUX pipeline as a model of 16x24 pictures, (4, 8, 12) latents and 16 T5 tokens."""
    pipeline = flux_pipeline(guidance_embeds=guidance_embeds, **scheduler)
    return FluxFlowModel(pipeline, id="tiny-flux", height=height, width=width, max_sequence_length=16)


def clip_model(seed: int = 0) -> CLIPModel:
    """A CLIPModel for 32x32 pictures."""
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = CLIPConfig(text_config=_text_config(16).to_dict(), vision_config=vision.to_dict(), projection_dim=16)
        model = CLIPModel(config)
        _shake(model)
    return model


def clip_reward(name: str = "tiny-clip", seed: int = 0) -> CLIPReward:
    """The tiny CLIP as a reward."""
    return CLIPReward(clip_model(seed), clip_tokenizer(), 32, MEAN, STD, name)
