"""Where weights lie on this machine, and whether they are complete. Standard library only: the web process asks too."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from core.errors import ModelError

ASSETS = Path(__file__).resolve().parents[2] / "assets"

_WITHOUT_WEIGHTS = ("Tokenizer", "TokenizerFast", "Scheduler", "Processor", "FeatureExtractor")
_WEIGHT_NAMES = ("model.safetensors", "diffusion_pytorch_model.safetensors")
_ADAPTER_NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")  # PEFT's and diffusers'


def hub_cache() -> Path:
    """The folder where `hf download` keeps what it fetched (huggingface_hub's own rules)."""
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser() / below
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "huggingface" / "hub"


def hub_folder(repository: str) -> Path | None:
    """The downloaded snapshot of a repository ("owner/name"), None when there is none."""
    base = hub_cache() / f"models--{repository.replace('/', '--')}"
    try:
        commit = (base / "refs" / "main").read_text().strip()
    except OSError:
        return None
    folder = base / "snapshots" / commit
    return folder if commit and folder.is_dir() else None


def locate(source: str, *, embedded: bool, missing_from: Callable[[Path], str | None]) -> tuple[Path | None, str]:
    """A folder with complete weights and "", or None and what is missing and how to get it, in plain words.

    `source` is a folder under assets when `embedded`, else a repository ("owner/name") that was downloaded before.
    """
    if embedded:
        folder = ASSETS / source
        missing = missing_from(folder)
        return (None, f"assets/{source} lacks {missing}, so this checkout is incomplete") if missing else (folder, "")
    command = f"`python -m app download {source}` fetches them"
    snapshot = hub_folder(source)
    if snapshot is None:
        return None, f"the weights are not on this machine; {command}"
    missing = missing_from(snapshot)
    return (None, f"the weights on this machine lack {missing}; {command}") if missing else (snapshot, "")


def missing_from_pipeline(folder: Path) -> str | None:
    """The first file that a diffusers pipeline folder lacks, None when it is complete."""
    try:
        index = json.loads((folder / "model_index.json").read_text())
    except OSError:
        return "model_index.json"
    except ValueError:
        return "a readable model_index.json"
    for name, value in index.items():
        if not (isinstance(value, list) and len(value) == 2 and value[0]):
            continue  # a setting, or a part that this pipeline does without
        if not (folder / name).is_dir():
            return name
        if not str(value[1]).endswith(_WITHOUT_WEIGHTS):
            missing = _missing_weights(folder / name)
            if missing:
                return f"{name}/{missing}"
    return None


def missing_from_part(folder: Path) -> str | None:
    """The first file that a single model's folder lacks, None when it is complete."""
    return _missing_weights(folder)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a model in a folder is loaded from: one, or the shards that an index names."""
    for name in _WEIGHT_NAMES:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return [folder / shard for shard in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    return []


def _missing_weights(folder: Path) -> str | None:
    if not (folder / "config.json").is_file():
        return "config.json"
    try:
        files = weight_files(folder)
    except (OSError, ValueError, KeyError, AttributeError):
        return f"a readable {next(folder.glob('*.safetensors.index.json')).name}"
    if not files:
        return _WEIGHT_NAMES[0] if "text_encoder" in folder.name else _WEIGHT_NAMES[1]
    return next((file.name for file in files if not file.is_file()), None)


def find_adapter(path: Path) -> Path:
    """The safetensors file of a LoRA that `path` is or holds. Raises ModelError where there is none, or several."""
    path = Path(path)
    if path.is_file() and path.suffix == ".safetensors":
        return path
    if not path.is_dir():
        raise ModelError(f"expected a LoRA as a .safetensors file or a folder with one, got {path}")
    for name in _ADAPTER_NAMES:
        if (path / name).is_file():
            return path / name
    found = sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        raise ModelError(f"{path}: expected {' or '.join(_ADAPTER_NAMES)} in it, found {len(found)} .safetensors files")
    return found[0]
