"""What a lab offers to be swept: the settings of either kind of runs, as people know them. No torch."""

from typing import TYPE_CHECKING, Any

from app.labels import label_of
from app.sweep_config import value_text
from app.sweep_kinds import SEARCHES, Kind
from app.ui import form, train
from core.train_config import TRAIN_PRESETS, TrainConfig, preset
from core.train_help import TRAIN_HELP

if TYPE_CHECKING:
    from app.services import Lab

_TUNED_HELP = TRAIN_HELP | {"reward": "The score that is trained; the others are only watched."}


def settings_offered(lab: "Lab", kind: Kind) -> list[dict[str, Any]]:
    """What can be varied: name, label, help, its usual value, and what can be chosen where that is a list."""
    told = _search_settings if kind is SEARCHES else _tune_settings
    offers = {
        name: [one["name"] for one in lab.options()[offered] if one["usable"]] for name, offered in form.OFFERED.items()
    }
    return [{"name": name, "label": label_of(kind.name, name)} | told(name, offers) for name in kind.settings]


def _search_settings(name: str, offers: dict[str, list[str]]) -> dict[str, Any]:
    field = form.BY_NAME[name]
    among = offers.get(name) or list(form.CHOICES.get(name, ()))
    if field.kind == "flag":
        among = ["no", "yes"]
    return {"help": field.help, "choices": among, "usual": value_text(form.defaults()[name])}


def _tune_settings(name: str, offers: dict[str, list[str]]) -> dict[str, Any]:
    usual = train.flat(preset(TrainConfig.preset)) | {"reward": next(iter(TrainConfig().climbed))}
    among = [value for value, _ in train.choices_of(name) or ()]
    if name == "preset":
        among = list(TRAIN_PRESETS)
    elif name in ("model", "reward"):  # only a base model learns
        among = [one for one in offers[name] if "+" not in one]
    elif isinstance(usual[name], bool):
        among = ["no", "yes"]
    return {"help": _TUNED_HELP[name], "choices": among, "usual": value_text(usual[name])}
