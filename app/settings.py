"""Where the lab keeps things and how its processes behave: read once from flags and the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigError, LabError

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "assets" / "recorded"
EXPERIMENTS = ROOT / "assets" / "experiments"
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Settings:
    """One data folder and the processes over it.

    `recorded` is the folder of the session that a fresh data folder opens with; None leaves it empty. In a `demo` every
    visit opens with it, and no worker is expected. `poll_seconds` is how often an idle worker looks for a job.
    """

    data_dir: Path
    database_url: str | None = None
    device: str = "auto"
    recorded: Path | None = RECORDED
    demo: bool = False
    poll_seconds: float = 0.05

    @property
    def database(self) -> str:
        """The address given, or the SQLite file in the data folder."""
        return self.database_url or str(self.data_dir / "lab.sqlite")

    @property
    def artifacts_dir(self) -> Path:
        """The only folder whose files are served."""
        return self.data_dir / "artifacts"

    @property
    def checkpoints_dir(self) -> Path:
        """Where fine-tunes keep their states; a LoRA is served from there by its record."""
        return self.data_dir / "checkpoints"


def read_settings(data_dir: str | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Flags first, then LAB_DATA_DIR, LAB_DATABASE_URL and LAB_DEVICE, then the checkout's own `data`.

    Creates the data folder; raises ConfigError when it cannot be used.
    """
    settings = _read(data_dir, environ)
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigError({"data-dir": f"cannot make the folder {str(folder)!r}: {error}"}) from error
    if not os.access(folder, os.W_OK):
        raise ConfigError({"data-dir": f"expected a folder that can be written to, got {str(folder)!r}"})
    return settings


def settings_of_lab(data_dir: str | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The same where a lab has worked before; makes nothing. Raises LabError where none has: a mistyped folder."""
    settings = _read(data_dir, environ)
    if settings.database_url is None and not Path(settings.database).is_file():
        raise LabError(
            f"there is no lab in {settings.data_dir}: expected the folder that `serve` or `search` worked in"
        )
    return settings


def _read(data_dir: str | None, environ: Mapping[str, str]) -> Settings:
    folder = Path(data_dir or environ.get("LAB_DATA_DIR") or ROOT / "data").expanduser().resolve()
    device = environ.get("LAB_DEVICE") or "auto"
    if device not in DEVICES:
        raise ConfigError({"LAB_DEVICE": f"expected one of {', '.join(DEVICES)}, got {device!r}"})
    database_url = environ.get("LAB_DATABASE_URL") or None
    if database_url is not None and "://" not in database_url:
        raise ConfigError({"LAB_DATABASE_URL": "expected an address such as postgresql://user@host/name"})
    return Settings(folder, database_url, device)


def default_threads(cores: int | None = None) -> int:
    """One thread a job where there are two cores or fewer: two jobs of two threads ran half as fast as two of one."""
    count = cores if cores is not None else (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    return 1 if count <= 2 else min(8, count // 2)
