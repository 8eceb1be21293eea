"""`doctor`: what this machine has of what the lab needs, in lines that can be pasted into a question."""

import os
import platform
import shutil
import sqlite3
from importlib import metadata
from pathlib import Path

from app.settings import Settings, default_threads
from core.config import ExploreConfig
from core.errors import LabError
from core.models import registry as models
from core.rewards import registry as rewards
from storage.engine import current_revision, head_revision, open_database

PACKAGES = ("torch", "diffusers", "transformers", "gradio", "sqlalchemy", "plotly")


def doctor(settings: Settings) -> int:
    """Print the report; 0 when a default session could run, else 1."""
    defaults = ExploreConfig("-")
    fine = models.usable(defaults.model)[0] and all(rewards.usable(name)[0] for name in defaults.rewards)
    print(f"python     {platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores")
    print("packages   " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print(f"device     {_device(settings.device)}; {default_threads()} thread(s) a job")
    _print_usable("models", {name: models.usable(name) for name in models.MODELS})
    _print_usable("rewards", {name: rewards.usable(name) for name in rewards.REWARDS})
    free = shutil.disk_usage(settings.data_dir).free
    print(f"data       {settings.data_dir}: {_size(settings.data_dir) / 1e6:.1f} MB used, {free / 1e9:.1f} GB free")
    healthy, text = _database(settings)
    print(f"database   {text}")
    ready = fine and healthy
    print("ready      " + ("yes" if ready else "no: see above"))
    return 0 if ready else 1


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _device(wanted: str) -> str:
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported: {error}"
    if torch.cuda.is_available():
        found = f"{torch.cuda.get_device_name(0)}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
        return f"cpu as asked ({found} is there)" if wanted == "cpu" else f"cuda: {found}"
    return "cuda was asked for, but torch finds none" if wanted == "cuda" else "cpu"


def _print_usable(title: str, found: dict[str, tuple[bool, str]]) -> None:
    for index, (name, (fine, why)) in enumerate(found.items()):
        print(f"{title if index == 0 else '':<10} {name}: {'usable' if fine else 'not usable: ' + why}")


def _database(settings: Settings) -> tuple[bool, str]:
    """Looks only: an old schema is reported, not brought up to date."""
    head = head_revision()
    if settings.database_url is None and not Path(settings.database).exists():
        return True, f"{settings.database} is not there yet; serve and search make it (schema {head})"
    try:
        database = open_database(settings.database)
    except LabError as error:
        return False, str(error)
    try:
        text = f"{database.url}, schema {current_revision(database)} of {head}"
    finally:
        database.dispose()
    return True, text + (f", SQLite {sqlite3.sqlite_version}" if settings.database_url is None else "")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
