"""LoRA adapters on a model's transformer: W x + weight (alpha / r) B A x, in diffusers' or PEFT's format.

Both formats are safetensors; PEFT's keeps rank and alpha in `adapter_config.json` beside the weights, diffusers' in the
file's own metadata. Sources: Hu et al. 2021 (arXiv 2106.09685); the layouts of diffusers and peft themselves.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from core.errors import ModelError
from core.models.files import find_adapter

_PREFIXES = ("base_model.model.", "transformer.", "module.")
_MATRIX = re.compile(
    r"(?P<layer>.+)\.(?:lora_(?P<new>[AB])(?:\.\w+)?|lora(?:_linear_layer)?[._](?P<old>down|up))\.weight"
)
_LISTED = 3


@dataclass(frozen=True)
class _Lora:
    """An adapter as read: A (r, in) and B (out, r) by layer, and what its makers say about scale."""

    down: dict[str, Tensor]
    up: dict[str, Tensor]
    alphas: dict[str, float]
    config: Mapping[str, Any]


def load_adapter(model: Any, path: Path, *, weight: float = 1.0, name: str = "lora") -> None:
    """Put a LoRA from a safetensors file, or a folder with one, on `model.pipeline.transformer`, frozen and active.

    Adapters loaded before stay active beside it. Raises ModelError, and leaves the model as it was, for what is no LoRA
    of this transformer: wrong keys, shapes or ranks, layers it does not have, another kind of adapter, a name in use.
    """
    transformer = model.pipeline.transformer
    if name in getattr(transformer, "peft_config", {}):
        raise ModelError(f"{model.id}: an adapter named {name} is loaded already")
    file = find_adapter(path)
    lora = _read(file)
    _check(lora, transformer, f"{file} on {model.id}")
    state = {f"{layer}.lora_A.weight": value.float() for layer, value in lora.down.items()}
    state |= {f"{layer}.lora_B.weight": value.float() for layer, value in lora.up.items()}
    transformer.load_lora_adapter(state, prefix=None, adapter_name=name, metadata=_settings(lora))
    for module in transformer.modules():
        if isinstance(module, BaseTunerLayer):
            module.set_adapter([one for one in transformer.peft_config if one in module.r], inference_mode=True)
            module.set_scale(name, weight)


def merge_adapters(model: Any) -> None:
    """Fold every loaded adapter into the weights, rounded once: faster, and a training on top starts from there."""
    transformer = model.pipeline.transformer
    if getattr(transformer, "peft_config", None):
        transformer.fuse_lora()
        transformer.unload_lora()


def _read(file: Path) -> _Lora:
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - not a mapping
            config = _config(file, opened.metadata() or {})
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    down: dict[str, Tensor] = {}
    up: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    strange = []
    for key, value in tensors.items():
        plain = _without_prefix(key)
        if matrix := _MATRIX.fullmatch(plain):
            (down if matrix["new"] == "A" or matrix["old"] == "down" else up)[matrix["layer"]] = value
        elif plain.endswith(".alpha") and value.numel() == 1:
            alphas[plain.removesuffix(".alpha")] = float(value)
        else:
            strange.append(key)
    if strange or not down:
        told = f"what is not, such as {_some(strange)}" if strange else "none"
        raise ModelError(f"{file}: expected a LoRA of the transformer in diffusers' or PEFT's format, got {told}")
    return _Lora(down, up, alphas, config)


def _config(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What PEFT's file beside the weights, or diffusers' metadata within them, says; empty where neither does."""
    beside = file.with_name("adapter_config.json")
    if beside.is_file():
        found = json.loads(beside.read_text())
    else:
        found = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    if not isinstance(found, dict):
        raise ValueError(f"expected an object in its configuration, got {type(found).__name__}")
    return {key.removeprefix("transformer."): value for key, value in found.items()}


def _without_prefix(key: str) -> str:
    while prefix := next((one for one in _PREFIXES if key.startswith(one)), None):
        key = key.removeprefix(prefix)
    return key


def _check(lora: _Lora, transformer: nn.Module, what: str) -> None:
    """Raise ModelError unless every matrix fits a linear layer of the transformer."""
    if lora.config.get("use_dora") or lora.config.get("peft_type", "LORA") != "LORA":
        kind = "DORA" if lora.config.get("use_dora") else lora.config["peft_type"]
        raise ModelError(f"{what}: expected an adapter of type LORA, got {kind}")
    single = sorted(lora.down.keys() ^ lora.up.keys())
    if single:
        raise ModelError(f"{what}: expected both matrices of every layer, got one of {_some(single)}")
    layers = {name: linear for name, module in transformer.named_modules() if (linear := _linear(module)) is not None}
    unknown = [layer for layer in lora.down if layer not in layers]
    if unknown:
        raise ModelError(f"{what}: the model has no linear layer {_some(unknown)}")
    for layer, down in lora.down.items():
        linear, up = layers[layer], lora.up[layer]
        rank = down.shape[0]
        expected = (rank, linear.in_features), (linear.out_features, rank)
        if (tuple(down.shape), tuple(up.shape)) != expected:
            got = f"{tuple(down.shape)} and {tuple(up.shape)}"
            raise ModelError(f"{what}: {layer}: expected matrices of shape {expected[0]} and {expected[1]}, got {got}")
        if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
            raise ModelError(f"{what}: {layer}: its matrices hold values that are not finite")


def _linear(module: nn.Module) -> nn.Linear | None:
    """The linear layer that a module is, or wraps for another adapter."""
    inner = module.base_layer if isinstance(module, BaseTunerLayer) else module
    return inner if isinstance(inner, nn.Linear) else None


def _settings(lora: _Lora) -> dict[str, Any]:
    """LoraConfig's arguments: rank and alpha by layer, the most common ones as the rule.

    Alpha where nothing tells it is the rank, so that the scale is 1, as diffusers and peft hold it.
    """
    ranks = {layer: value.shape[0] for layer, value in lora.down.items()}
    told, patterns = lora.config.get("lora_alpha"), dict(lora.config.get("alpha_pattern") or {})
    alphas: dict[str, float] = {}
    for layer, rank in ranks.items():
        alpha = patterns.get(get_pattern_key(patterns, layer), told)
        alphas[layer] = lora.alphas.get(layer, rank if alpha is None else alpha)
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {f"^{layer}": value for layer, value in ranks.items() if value != rank},
        "alpha_pattern": {f"^{layer}": value for layer, value in alphas.items() if value != alpha},
        "target_modules": sorted(ranks),
        "use_rslora": bool(lora.config.get("use_rslora")),
    }


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name[:80] for name in names[:_LISTED]) + more
