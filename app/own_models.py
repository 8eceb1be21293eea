"""Folders of this machine, for one start: models, LoRAs and rewards named by flags and the environment.

Every process of the lab knows them. Only whoever starts it names paths; a page knows nothing but the names.
"""

import os
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from core.errors import ConfigError
from core.models.previews import use_previews
from core.models.registry import add_folder, add_lora
from core.rewards import registry as rewards

FOLDERS, LORAS, REWARDS = "LAB_MODEL_FOLDERS", "LAB_LORAS", "LAB_REWARD_FOLDERS"
PREVIEWS = "LAB_PREVIEWS"
BETWEEN = ";"


def name_models(
    folders: Sequence[str] = (),
    loras: Sequence[str] = (),
    environ: MutableMapping[str, str] = os.environ,
    *,
    reward_folders: Sequence[str] = (),
    previews: bool = False,
) -> None:
    """Offer what the environment and the flags name, and leave the names to processes started from here.

    Raises ConfigError for a text of another form, ModelError for what is no pipeline folder and no LoRA,
    RewardError for a folder that lacks what a reward needs.
    """
    given_by = {FOLDERS: folders, LORAS: loras, REWARDS: reward_folders}
    named = {variable: _all(variable, flags, environ) for variable, flags in given_by.items()}
    for text in named[FOLDERS]:
        name, given, path = text.partition("=")
        if not (name and given and path):
            raise ConfigError({"model-folder": f"expected NAME=PATH, got {text!r:.100}"})
        add_folder(name, Path(path))
    for text in named[LORAS]:
        name, given, rest = text.partition("=")
        base, colon, path = rest.partition(":")
        if not (name and given and base and colon and path):
            raise ConfigError({"lora": f"expected NAME=BASE:PATH with BASE the name of a model, got {text!r:.100}"})
        add_lora(name, base, Path(path))
    for text in named[REWARDS]:
        name, given, path = text.partition("=")
        if not (name and given and path):
            raise ConfigError({"reward-folder": f"expected NAME=PATH, got {text!r:.100}"})
        rewards.add_folder(name, Path(path))
    if previews:
        environ[PREVIEWS] = "1"
    use_previews(environ.get(PREVIEWS) == "1")
    for variable, texts in named.items():
        if texts:
            environ[variable] = BETWEEN.join(texts)


def _all(variable: str, flags: Sequence[str], environ: MutableMapping[str, str]) -> list[str]:
    """What the variable and the flags name, each once, with whole paths: other processes may start elsewhere."""
    return list(dict.fromkeys(map(_whole, [*filter(None, environ.get(variable, "").split(BETWEEN)), *flags])))


def _whole(text: str) -> str:
    name, given, rest = text.partition("=")
    base, colon, path = rest.rpartition(":")
    return f"{name}{given}{base}{colon}{Path(path).expanduser().absolute()}" if path else text
