"""One finished session as a folder: `session.json` with its config and events, and the files that they name.

A fresh lab opens with such a recording, so that the first page shows a search before anything has been run.
"""

import json
import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from app.recorder import KINDS, Files, Recorded, Recorder, place_of, save_event
from core.config import from_dict, to_dict
from core.errors import StorageError
from core.events import Cost
from storage import sessions
from storage.artifacts import Artifacts
from storage.engine import Database

MANIFEST = "session.json"
FORMAT = 1
NAME = "Recorded with the lab"
_ARRAYS = ("latents", "image", "images")


def describe(event: Recorded, files: Files) -> dict[str, Any]:
    """An event as JSON values: its arrays left out, the names of their files beside it."""
    values = {one.name: getattr(event, one.name) for one in fields(event) if one.name not in _ARRAYS}
    values["cost"] = asdict(values["cost"]) if "cost" in values else None
    return {"event": place_of(event)[0], "values": values, "files": asdict(files)}


def write_recording(recorder: Recorder, described: list[dict[str, Any]], folder: Path) -> None:
    """Write a recording of what `recorder` has recorded. Replaces the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for one in described:
        for file in _names(one["files"]):
            shutil.copyfile(recorder.artifacts.path(file), folder / file)
    manifest = {"format": FORMAT, "config": to_dict(recorder.config), "events": described}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def import_session(database: Database, artifacts: Artifacts, folder: Path) -> str:
    """Copy a recording into a lab as a finished session without a job; returns its record's id. Raises StorageError."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise StorageError(f"expected a recording of format {FORMAT}, got {manifest['format']!r:.40}")
        config = from_dict(manifest["config"])
        events = [_event(one) for one in manifest["events"]]
        for one in manifest["events"]:
            for name in _names(one["files"]):
                suffix = artifacts.path(name).suffix
                if artifacts.put((folder / name).read_bytes(), suffix.removeprefix(".")) != name:
                    raise StorageError(f"the file {name} of the recording does not match its name")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{folder} does not hold a recording that can be read: {error!r}") from error
    with database.write() as tx:
        record_id = sessions.create(tx, config, name=NAME)
        for event, files in events:
            save_event(tx, record_id, event, files)
    return record_id


def _event(plain: dict[str, Any]) -> tuple[Recorded, Files]:
    chosen = KINDS[plain["event"]]
    values = dict(plain["values"])
    values["cost"] = Cost(**values["cost"]) if values.get("cost") else None
    known = {one.name for one in fields(chosen)}
    arrays: dict[str, Any] = {name: None for name in _ARRAYS if name in known}
    event = chosen(**{name: value for name, value in values.items() if name in known}, **arrays)
    files = plain["files"]
    return event, Files(files["latents"], files["image"], tuple(files["images"]))


def _names(files: dict[str, Any]) -> list[str]:
    return [name for name in (files["latents"], files["image"], *files["images"]) if name]
