"""Train the embedded world from nothing, or go on where it stopped: `python -m core.shapes.train --work FOLDER`.

One command and fixed seeds: tokenizer, VAE, CLIP, flow model; then the two folders under assets are written in half
precision. Checkpoints and logs lie in the work folder, so the command can be stopped and started again.
"""

import argparse
import os
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPModel, CLIPTokenizer

from core.models.files import ASSETS
from core.shapes.clip import train_clip
from core.shapes.flow import build_pipeline, train_flow
from core.shapes.tokenizer import train_tokenizer
from core.shapes.vae import train_vae


def export_pipeline(net: torch.nn.Module, vae: AutoencoderKL, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the StableDiffusion3Pipeline folder in half precision."""
    build_pipeline(net, vae, tokenizer).to(dtype=torch.float16).save_pretrained(folder, safe_serialization=True)


def export_clip(clip: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the CLIP folder in half precision, with tokenizer and picture preprocessing."""
    clip.half().save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 64}\n'
    )


def main() -> None:
    """Train and export everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("training"), help="checkpoints and logs (default: training)")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="where the finished folders go")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokenizer = train_tokenizer()
    vae = train_vae(arguments.work)
    export_clip(train_clip(arguments.work, tokenizer), tokenizer, arguments.assets / "shapes-clip")
    net = train_flow(arguments.work, vae, tokenizer)
    export_pipeline(net, vae, tokenizer, arguments.assets / "shapes-sd3")


if __name__ == "__main__":
    main()
