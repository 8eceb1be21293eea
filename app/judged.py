"""What a stored fine-tune is judged by, in plain values. No torch."""

from collections.abc import Mapping
from typing import Any

from core.errors import ConfigError
from core.prompts import Judged, judged_by, judged_on
from core.train_config import TrainConfig, from_dict


def judged_of(config: Mapping[str, Any], started: Mapping[str, Any]) -> Judged:
    """As its trainer said at its start, or before that as its plain config has it.

    Of a config that this lab cannot read, such as one with another lab's prompts, only the number asked for is known.
    """
    if "eval_prompts" in started:
        return judged_by(started.get("prompts", ()), started["eval_prompts"])
    try:
        return judged_on(from_dict(config))
    except ConfigError:
        asked = int(config.get("eval_prompts", TrainConfig.eval_prompts))
        return Judged(asked, asked, True)
