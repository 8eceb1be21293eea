"""The package image-reward 1.5 under today's transformers, of which it needs names that went away.

Its modules are imported without the package's own `__init__`, which pulls in a training script and the library
`datasets`. What is lent to transformers for the import is taken back after it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

PACKAGE = "ImageReward"
DECODE, ENCODE = "[DEC]", "[ENC]"  # BLIP's own tokens, which follow BERT's


@cache
def modules() -> tuple[ModuleType, ModuleType]:
    """The package's modules of the reward and of BLIP, its network. Raises ImportError without the package."""
    from transformers import modeling_utils, pytorch_utils

    lent = {name: getattr(pytorch_utils, name) for name in ("apply_chunking_to_forward", "prune_linear_layer")}
    lent["find_pruneable_heads_and_indices"] = _no_pruning
    with _lending(modeling_utils, lent), _bare_package():
        main = importlib.import_module(f"{PACKAGE}.ImageReward")
        pretrain = importlib.import_module(f"{PACKAGE}.models.BLIP.blip_pretrain")
        bert = importlib.import_module(f"{PACKAGE}.models.BLIP.med").BertPreTrainedModel
    bert.get_head_mask = _no_head_mask
    bert.invert_attention_mask = _invert_attention_mask
    bert.init_weights = _init_weights
    bert.all_tied_weights_keys = {}
    return main, pretrain


def build(med_config: str, make_tokenizer: Callable[[], Any], *, device: str = "cpu") -> Any:
    """The package's model with random weights; `med_config` is the path of its text encoder's configuration.

    `make_tokenizer` stands in for the package's own function, which asks the hub for BERT's tokenizer.
    """
    main, pretrain = modules()
    with _lending(pretrain, {"init_tokenizer": make_tokenizer}):
        return main.ImageReward(device=device, med_config=med_config).to(device).eval()


def tokenizer(vocabulary: Sequence[str]) -> Any:
    """BLIP's tokenizer: BERT's (lower case) over the lines of its vocab.txt, then BLIP's own two tokens."""
    from transformers import BertTokenizer

    made = BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)}, do_lower_case=True)
    made.add_tokens([DECODE, ENCODE], special_tokens=True)
    made.enc_token_id = made.convert_tokens_to_ids(ENCODE)
    return made


@contextmanager
def _lending(module: ModuleType, names: dict[str, Any]) -> Iterator[None]:
    """Names that a module has for a while."""
    before = {name: getattr(module, name) for name in names if hasattr(module, name)}
    for name, value in names.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name in names:
            if name in before:
                setattr(module, name, before[name])
            else:
                delattr(module, name)


@contextmanager
def _bare_package() -> Iterator[None]:
    """The package findable by its submodules, but not executed; whoever imports it later gets all of it."""
    if PACKAGE in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ImportError("the package image-reward is not installed")
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[PACKAGE]


def _no_pruning(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("heads of ImageReward's text encoder cannot be pruned")


def _no_head_mask(self: Any, head_mask: Any, num_hidden_layers: int, *_: Any) -> list[None]:
    """One None a layer: no head is masked."""
    if head_mask is not None:
        raise NotImplementedError("heads of ImageReward's text encoder cannot be masked")
    return [None] * num_hidden_layers


def _invert_attention_mask(self: Any, mask: Tensor) -> Tensor:
    """A mask (B, L) of 1 for tokens to see as (B, 1, 1, L) to add to attention scores: 0, and the least float else."""
    dtype = next(self.parameters()).dtype
    return (1.0 - mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min


def _init_weights(self: Any) -> None:
    """Every module as the class's own `_init_weights` fills it."""
    self.apply(self._init_weights)
