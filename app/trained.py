"""What a fine-tune made, as a model: `<base>+<record>` names it, `@EPOCH` an earlier checkpoint, `:raw` the weights as
they were trained instead of their running average. No torch here.
"""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.toolbox import Toolbox
from core.config import ExploreConfig, to_dict
from core.errors import LabError, ModelError
from core.models import registry
from storage import runs
from storage.checkpoints import Checkpoints
from storage.engine import Database

WEIGHTS = "pytorch_lora_weights.safetensors"
AVERAGED = f"ema/{WEIGHTS}"
LIVE = ("pending", "running", "paused")
_ID = re.compile(r"(?P<base>[^+]+)\+(?P<record>[a-z0-9]{12})(?:@(?P<epoch>\d{1,6}))?(?P<raw>:raw)?")


@dataclass(frozen=True)
class Adapter:
    """A checkpoint's weights: the file of that name in the checkpoint's folder, with what the row says of its files."""

    record_id: str
    base: str
    epoch: int
    folder: str
    file: str
    files: dict[str, Any]


def trained_id(base: str, record_id: str, epoch: int | None = None, *, raw: bool = False) -> str:
    """How the model is called."""
    return f"{base}+{record_id}{'' if epoch is None else f'@{epoch}'}{':raw' if raw else ''}"


def base_of(model_id: str) -> str:
    """The model that an adapter lies on; any other model's own id."""
    found = _ID.fullmatch(model_id)
    return found["base"] if found else model_id


def spec_of(model_id: str) -> registry.ModelSpec | None:
    """What the registry says of a model or, of a trained one, of its base."""
    return registry.find(base_of(model_id))


def adapter_of(tx: Session, model_id: str) -> Adapter | None:
    """What a trained model's name stands for, None for any other name. ModelError where there is no such checkpoint."""
    found = _ID.fullmatch(model_id)
    if found is None:
        return None
    try:
        row, stored = runs.run_row(tx, found["record"]), runs.checkpoints_of(tx, found["record"])
    except LabError as error:
        raise ModelError(f"{model_id[:60]}: {error}") from None
    if row.model != found["base"]:
        raise ModelError(f"{model_id[:60]}: that fine-tune is of {row.model}, not of {found['base'][:60]}")
    if found["epoch"] is None and row.state in LIVE:
        raise ModelError(
            f"{model_id[:60]}: that fine-tune has not ended: name a checkpoint, such as {model_id[:60]}@20"
        )
    chosen = stored[-1:] if found["epoch"] is None else [one for one in stored if one.epoch == int(found["epoch"])]
    if not chosen:
        there = ", ".join(str(one.epoch) for one in stored) or "none yet"
        raise ModelError(
            f"{model_id[:60]}: that fine-tune has no such checkpoint; its checkpoints are of epochs {there}"
        )
    newest = chosen[0]
    file = WEIGHTS if found["raw"] or AVERAGED not in newest.files else AVERAGED
    return Adapter(row.id, found["base"], newest.epoch, newest.folder, file, dict(newest.files))


def usable(tx: Session, model_id: str) -> tuple[bool, str]:
    """Whether a model, trained here or not, can be loaded, and if not why: as `core.models.registry.usable`."""
    try:
        found = adapter_of(tx, model_id)
    except LabError as error:
        return False, str(error)
    return registry.usable(model_id if found is None else found.base)


def offers(tx: Session, also: str | None = None) -> list[dict[str, Any]]:
    """The trained models as menus list them, the newest first; and `also` one that is named, where there is such."""
    found = []
    for row in runs.trained(tx):
        spec = registry.find(row.model)
        title = row.name or f"{row.preset}: {row.prompt}"
        epoch = runs.checkpoints_of(tx, row.id)[-1].epoch if row.state in LIVE else None
        when = "trained" if epoch is None else f"epoch {epoch} of"
        told = {"title": f"{title} ({when} {row.id})", "name": trained_id(row.model, row.id, epoch)}
        about = f"{spec.title if spec else row.model} with what the fine-tune {row.id} made of it."
        fine, why = registry.usable(row.model)
        found.append((asdict(spec) if spec else {}) | told | {"help": about, "usable": fine, "why_not": why})
    if also and _ID.fullmatch(also) and also not in {one["name"] for one in found}:
        found += [_offer_of(adapter, also) for adapter in [_found(tx, also)] if adapter]
    return found


def _found(tx: Session, model_id: str) -> Adapter | None:
    try:
        return adapter_of(tx, model_id)
    except LabError:
        return None


def _offer_of(adapter: Adapter, model_id: str) -> dict[str, Any]:
    """One checkpoint of a run as menus list it."""
    spec, weights = registry.find(adapter.base), "averaged" if adapter.file == AVERAGED else "as trained"
    fine, why = registry.usable(adapter.base)
    told = {"name": model_id, "title": f"Fine-tune {adapter.record_id}, epoch {adapter.epoch}, {weights}"}
    about = f"{spec.title if spec else adapter.base} as it was after epoch {adapter.epoch} of that fine-tune."
    return (asdict(spec) if spec else {}) | told | {"help": about, "usable": fine, "why_not": why}


def session_of(tx: Session, record_id: str, epoch: Any = None) -> dict[str, Any]:
    """A plain config that tries a run's model, with the sampler that it was trained with, on a prompt kept from it.

    `epoch` may come from an address. Raises LabError where there is no such run or checkpoint.
    """
    row, config = runs.run_row(tx, record_id), runs.get_config(tx, record_id)
    if epoch is None and row.state in LIVE:
        epoch = max((one.epoch for one in runs.checkpoints_of(tx, record_id)), default=0)
    if epoch is not None and not (str(epoch).isascii() and str(epoch).isdecimal() and len(str(epoch)) < 7):
        raise LabError(f"epoch: expected a whole number, got {epoch!r:.40}")
    model_id = trained_id(row.model, row.id, None if epoch is None else int(epoch))
    adapter_of(tx, model_id)
    prompts = runs.told(tx, record_id).started.get("eval_prompts") or [row.prompt]
    usual = ExploreConfig("-")
    session = replace(config.of_member(prompts[0], 0), model=model_id, arms=usual.arms, batch_size=usual.batch_size)
    return to_dict(replace(session, search=usual.search, window_min=usual.window_min, window_max=usual.window_max))


def weights_path(checkpoints: Checkpoints, adapter: Adapter) -> Path:
    """The LoRA's file, once it is known to be what was written. Raises StorageError."""
    folder = checkpoints.checked(adapter.record_id, adapter.folder, {adapter.file: adapter.files[adapter.file]})
    return folder / adapter.file


def with_trained(toolbox: Toolbox, database: Database, checkpoints: Checkpoints) -> Toolbox:
    """The same tools, whose `load_model` also knows what was trained here."""

    def load(model_id: str) -> Any:
        with database.read() as tx:
            adapter = adapter_of(tx, model_id)
        if adapter is None:
            return toolbox.load_model(model_id)
        model = toolbox.load_model(adapter.base)
        toolbox.load_adapter(model, weights_path(checkpoints, adapter))
        return model

    return replace(toolbox, load_model=load)
