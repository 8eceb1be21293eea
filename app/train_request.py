"""What a page or a command line asks to be trained, as a config that can run here."""

from collections.abc import Mapping
from typing import Any

from app.settings import default_threads
from core.errors import ConfigError
from core.models import registry as models
from core.prompts import prompt_set
from core.rewards import registry as rewards
from core.shapes.scenes import parse_caption
from core.train_config import TrainConfig, from_dict


def read_request(body: Mapping[str, Any]) -> TrainConfig:
    """Read and check everything: a config's fields, those left out as in the preset. Raises ConfigError by field."""
    config = from_dict({"threads": default_threads()} | dict(body))
    problems = {}
    fine, why = models.usable(config.model)
    if not fine:
        problems["model"] = why
    prompts = config.prompts or prompt_set(config.prompt_set)
    for name, weight in config.rewards.items():
        fine, why = rewards.usable(name)
        spec = rewards.REWARDS.get(name)
        if not fine:
            problems["rewards"] = why
        elif spec is not None and not spec.any_prompt and weight:
            unknown = next((prompt for prompt in prompts if parse_caption(prompt) is None), None)
            if unknown is not None:
                problems["rewards"] = (
                    f"{spec.title} can judge only captions of the embedded world; it cannot judge {unknown!r:.80}"
                )
    if problems:
        raise ConfigError(problems)
    return config
