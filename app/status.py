"""What this lab runs on and what it has: the facts of page Status and of `doctor`, and the same as lines of text.

No torch here: the web process asks for these facts too, and knows the device from the worker's note.
"""

import contextlib
import os
import platform
import shutil
import sqlite3
import tomllib
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from app.presence import TEXTS, read_presence
from app.settings import ROOT, Settings, default_threads
from core.config import ExploreConfig
from core.errors import LabError
from core.models import registry as models
from core.rewards import registry as rewards
from storage.artifacts import Artifacts
from storage.engine import Database, current_revision, head_revision, open_database
from storage.records import artifacts_of, candidate_images, get_record, searched_steps
from storage.runs import checkpoints_of

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "gradio", "fastapi", "sqlalchemy", "alembic", "plotly")
KINDS = {".webp": "pictures", ".png": "pictures", ".safetensors": "tensors"}
_IN_DEMO = {"state": "demo", "text": TEXTS["demo"]}
DISK_KINDS = ("pictures", "tensors", "database", "other")


def collect(settings: Settings, database: Database | None = None) -> dict[str, Any]:
    """Every fact as JSON values. It only looks: without `database` an old schema is told, not brought up to date."""
    return {
        "ready": _ready(),
        "worker": read_presence(settings.data_dir) | (_IN_DEMO if settings.demo else {}),
        "machine": _machine(),
        "packages": {name: _version(name) for name in PACKAGES},
        "models": [_offer(name, spec.title, models.usable) for name, spec in models.MODELS.items()],
        "rewards": [_offer(name, spec.title, rewards.usable) for name, spec in rewards.REWARDS.items()],
        "data": disk_use(settings.data_dir),
        "database": _database(settings, database),
    }


def as_text(facts: Mapping[str, Any], device: str) -> str:
    """The facts as lines that can be pasted into a question. `device` is told by whoever could ask torch for it."""
    machine, data, database = facts["machine"], facts["data"], facts["database"]
    kinds = ", ".join(f"{kind['kind']} {megabytes(kind['bytes'])}" for kind in data["kinds"])
    lines = [
        f"lab        {machine['lab']}",
        f"python     {machine['python']} on {machine['platform']}, {machine['cores']} cores",
        "packages   " + ", ".join(f"{name} {version or 'missing'}" for name, version in facts["packages"].items()),
        f"device     {device}; {machine['threads']} thread(s) a job",
        *_usable_lines("models", facts["models"]),
        *_usable_lines("rewards", facts["rewards"]),
        f"data       {data['folder']}: {megabytes(data['bytes'])} used, {data['free'] / 1e9:.1f} GB free",
        f"           {kinds}",
        f"database   {database['text']}",
        f"worker     {facts['worker']['text']}",
        "ready      " + ("yes" if facts["ready"] and database["healthy"] else "no: see above"),
    ]
    return "\n".join(lines) + "\n"


def device_text(facts: Mapping[str, Any], wanted: str) -> str:
    """A device in words, from the facts of `app.presence.device_facts`; `wanted` is the device asked for."""
    if facts["device"] is None:
        return f"not known yet ({wanted} is asked for)"
    memory = f", {facts['device_memory'] / 2**30:.0f} GiB" if facts["device_memory"] else ""
    if facts["device"] == "cpu" and wanted in ("cuda", "mps"):
        return f"{wanted} was asked for, but torch finds none"
    unused = f" as asked ({facts['unused']} is there)" if facts["unused"] else ""
    return f"{facts['device']}{': ' + facts['device_name'] if facts['device_name'] else ''}{memory}{unused}"


def disk_use(folder: Path) -> dict[str, Any]:
    """Bytes and files under a data folder by kind, and what is free and there in all on its disk."""
    found = {kind: [0, 0] for kind in DISK_KINDS}
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                about = os.lstat(os.path.join(where, name))
            except FileNotFoundError:
                continue  # gone since it was listed: temporary files come and go
            counted = found[_disk_kind(name)]
            counted[0] += about.st_size
            counted[1] += 1
    disk = shutil.disk_usage(folder)
    return {
        "folder": str(folder),
        "bytes": sum(size for size, _ in found.values()),
        "kinds": [{"kind": kind, "bytes": size, "files": count} for kind, (size, count) in found.items()],
        "free": disk.free,
        "total": disk.total,
    }


def record_size(database: Database, artifacts: Artifacts, record_id: str) -> int:
    """Bytes of the stored files that a record needs, a fine-tune's checkpoints among them: what deleting it frees, less
    what other records need too.

    NotFound for no such record. A step at a time: a read must not hold up writers for long.
    """
    with database.read() as tx:
        record = get_record(tx, record_id)["id"]
        names, steps = set(artifacts_of(tx, record)), searched_steps(tx, record)
        size = sum(file["bytes"] for row in checkpoints_of(tx, record) for file in row.files.values())
    for step in steps:
        with database.read() as tx:
            names.update(candidate_images(tx, record, step))
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # one that was lost frees nothing
            size += artifacts.path(name).stat().st_size
    return size


def megabytes(size: int) -> str:
    """A size as text: "12.3 MB"."""
    return f"{size / 1e6:.1f} MB"


def _disk_kind(name: str) -> str:
    return "database" if name.startswith("lab.sqlite") else KINDS.get(os.path.splitext(name)[1], "other")


def _ready() -> bool:
    """Whether what a default session needs can be loaded here."""
    defaults = ExploreConfig("-")
    return models.usable(defaults.model)[0] and all(rewards.usable(name)[0] for name in defaults.rewards)


def lab_version() -> str:
    """This checkout's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _machine() -> dict[str, Any]:
    return {
        "lab": lab_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": default_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _offer(name: str, title: str, usable: Callable[[str], tuple[bool, str]]) -> dict[str, Any]:
    fine, why = usable(name)
    return {"name": name, "title": title, "usable": fine, "why_not": why}


def _usable_lines(title: str, offers: list[dict[str, Any]]) -> list[str]:
    return [
        f"{title if index == 0 else '':<10} {one['name']}: "
        + ("usable" if one["usable"] else "not usable: " + one["why_not"])
        for index, one in enumerate(offers)
    ]


def _database(settings: Settings, database: Database | None) -> dict[str, Any]:
    head = head_revision()
    server = settings.database.startswith("postgres")
    facts = {"kind": "PostgreSQL" if server else f"SQLite {sqlite3.sqlite_version}", "head": head}
    if database is None and settings.database_url is None and not Path(settings.database).exists():
        told = f"{settings.database} is not there yet; serve and search make it (schema {head})"
        return facts | {"healthy": True, "address": settings.database, "schema": None, "text": told}
    try:
        opened = database or open_database(settings.database)
    except LabError as error:
        return facts | {"healthy": False, "address": None, "schema": None, "text": str(error)}
    try:
        address, schema = opened.url, current_revision(opened)
    finally:
        if database is None:
            opened.dispose()
    told = f"{address}, schema {schema} of {head}, {facts['kind']}"
    return facts | {"healthy": True, "address": address, "schema": schema, "text": told}
