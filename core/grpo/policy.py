"""The model that learns: a LoRA beside a frozen transformer, its running average, and the model without either."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from core import noise
from core.errors import ConfigError
from core.models.protocol import FlowModel
from core.train_config import TrainConfig

ADAPTER = "grpo"
# The attention projections of text and picture, as Flow-GRPO trains them (arXiv 2505.05470).
TARGETS = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out", "to_q", "to_k", "to_v", "to_out.0")


def lora_config(rank: int, alpha: float) -> LoraConfig:
    """The adapter as peft and diffusers describe it."""
    whole = int(alpha) if alpha == int(alpha) else alpha
    return LoraConfig(r=rank, lora_alpha=whole, init_lora_weights="gaussian", target_modules=list(TARGETS))


class Policy:
    """A model with a trainable adapter.

    `parameters` are the adapter's float32 tensors, named as in a LoRA file without its prefix; `average` their running
    average (empty without EMA); `updates` counts the optimiser's steps.
    """

    def __init__(self, config: TrainConfig, model: FlowModel):
        """Add the adapter. Raises ConfigError for a model that is no diffusers pipeline, or has an adapter already."""
        transformer = getattr(getattr(model, "pipeline", None), "transformer", None)
        if transformer is None or not hasattr(transformer, "add_adapter"):
            raise ConfigError({"model": f"{model.id} has no diffusers transformer that a LoRA could be added to"})
        if getattr(transformer, "peft_config", None):
            raise ConfigError({"model": f"{model.id} has an adapter already: a fine-tune starts from a plain model"})
        self.transformer: Any = transformer
        with torch.random.fork_rng(devices=[]):
            transformer.add_adapter(lora_config(config.lora_rank, config.lora_alpha), adapter_name=ADAPTER)
        self._checkpointing = config.gradient_checkpointing
        if self._checkpointing:
            transformer.enable_gradient_checkpointing()
        self.parameters = self._own_parameters()
        self._initialise(config.seed, config.lora_rank)
        self.average = self.weights() if config.ema else {}
        self.updates = 0
        self._decay = config.ema_decay

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        named = self.transformer.named_parameters()
        own = {name.replace(f".{ADAPTER}.", "."): one for name, one in named if f".{ADAPTER}." in name}
        for parameter in own.values():
            parameter.data = parameter.data.float()  # also beside a half-precision transformer
        return dict(sorted(own.items()))

    def _initialise(self, seed: int, rank: int) -> None:
        """First matrices N(0, 1/rank^2) from named streams (peft's "gaussian"), second ones 0: nothing changes yet."""
        with torch.no_grad():
            for index, (name, parameter) in enumerate(self.parameters.items()):
                if "lora_A" in name:
                    parameter.copy_(noise.normal(tuple(parameter.shape), seed, "lora", index)[0] / rank)
                else:
                    parameter.zero_()

    @property
    def num_parameters(self) -> int:
        """Of the transformer without its adapter."""
        return sum(one.numel() for one in self.transformer.parameters()) - self.num_trainable

    @property
    def num_trainable(self) -> int:
        """Of the adapter."""
        return sum(one.numel() for one in self.parameters.values())

    def description(self) -> dict[str, Any]:
        """The adapter's settings as plain JSON values, for a LoRA file's metadata."""
        plain = self.transformer.peft_config[ADAPTER].to_dict()
        values = {name: sorted(value) if isinstance(value, set) else value for name, value in plain.items()}
        return values | {"peft_type": plain["peft_type"].value}

    def weights(self) -> dict[str, Tensor]:
        """A copy of the adapter's weights on the CPU."""
        return {name: one.detach().to("cpu", copy=True) for name, one in self.parameters.items()}

    def set_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights in; KeyError where a name is missing."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])

    def updated(self) -> None:
        """The optimiser has taken a step: move the average by 1 - min((1 + n) / (10 + n), decay)."""
        self.updates += 1
        decay = min((1 + self.updates) / (10 + self.updates), self._decay)
        for name, average in self.average.items():
            average.lerp_(self.parameters[name].detach().to("cpu"), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights in place of the trained ones."""
        trained = self.weights()
        self.set_weights(self.average)
        try:
            yield
        finally:
            self.set_weights(trained)

    @contextmanager
    def reference(self) -> Iterator[None]:
        """The model as it was: the adapter switched off."""
        self.transformer.disable_adapters()
        try:
            yield
        finally:
            self.transformer.enable_adapters()

    def remove(self) -> None:
        """Leave the model as it was found."""
        self.transformer.unload_lora()
        if self._checkpointing:
            self.transformer.disable_gradient_checkpointing()
