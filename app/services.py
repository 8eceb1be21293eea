"""What the lab can do, as pages and command line call it. No torch: the web process imports this."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import recorded
from app.settings import Settings, default_threads
from core import plan
from core.config import (
    ARMS,
    ESTIMATORS,
    PRESET_HELP,
    PRESETS,
    READINGS,
    RESULT_MODES,
    SELECTIONS,
    STEP_KINDS,
    ExploreConfig,
    from_dict,
    to_dict,
)
from core.errors import ConfigError, StorageError
from core.models import registry as models
from core.rewards import registry as rewards
from core.schedule import shifted
from core.shapes.scenes import parse_caption
from storage import jobs, sessions
from storage.artifacts import Artifacts
from storage.counter import last_seq
from storage.engine import Database, open_database

EMBEDDED_MODEL = "shapes-sd3"
EXAMPLE_PROMPT = "a photo of a blue star left of a green square"

ARM_HELP: dict[str, str] = {
    "no_search": "The same starting noise with ordinary random noise at every step.",
    "ode": "The same starting noise, no noise afterwards.",
    "random_elites": "The same rounds with elites drawn at random: the same noise sizes, no signal.",
    "best_of_sde": "The best of as many whole runs from the same starting noise as the search's evaluations buy.",
    "best_of_seed": "The best of as many whole runs from fresh starting noises as the search's evaluations buy.",
}


class Lab:
    """A data folder opened: its database brought up to date, its files, and the use cases over them."""

    def __init__(self, settings: Settings):
        """Creates what is missing; a fresh data folder gets the recorded session. Raises StorageError."""
        self.settings = settings
        self.artifacts = Artifacts(settings.artifacts_dir)
        self.database: Database = open_database(settings.database, migrate=True)
        if settings.recorded is not None and (not self.recent(1) or (settings.demo and self._recorded() is None)):
            self.import_recorded()

    def close(self) -> None:
        """Close the database's connections."""
        self.database.dispose()

    def import_recorded(self) -> str | None:
        """Put the session that came with the lab into this data folder; None where the checkout has none."""
        folder = self.settings.recorded
        if folder is None or not (folder / recorded.MANIFEST).is_file():
            return None
        return recorded.import_session(self.database, self.artifacts, folder)

    def read_config(self, plain: Mapping[str, Any]) -> ExploreConfig:
        """Validate a config and check that its model and rewards can be used here. Raises ConfigError."""
        config = from_dict({"threads": default_threads()} | dict(plain) if isinstance(plain, Mapping) else plain)
        problems: dict[str, str] = {}
        fine, why = models.usable(config.model)
        if not fine:
            problems["model"] = why
        for name in config.rewards:
            fine, why = rewards.usable(name)
            if not fine:
                problems["rewards"] = why
        blind = [name for name, weight in config.rewards.items() if weight and not _can_judge(name, config.prompt)]
        if blind:
            titles = " and ".join(rewards.REWARDS[name].title for name in blind)
            problems["rewards"] = (
                f"{titles} can judge only captions of the embedded world, such as {EXAMPLE_PROMPT!r}: "
                "expected such a prompt, or another reward to climb"
            )
        if problems:
            raise ConfigError(problems)
        return config

    def start_session(self, plain: Mapping[str, Any], name: str | None = None) -> str:
        """Queue a new session and return its record's id. Raises ConfigError."""
        config = self.read_config(plain)
        with self.database.write() as tx:
            record_id = sessions.create(tx, config, name=name)
            jobs.enqueue(tx, kind="explore", record_id=record_id, lane="interactive")
        return record_id

    def command(
        self,
        record_id: str,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        expected_step: int | None = None,
        expected_iteration: int | None = None,
    ) -> None:
        """Ask a session's job to pause, step, continue, cancel, or go on with other elites.

        The expectation is what the sender was looking at; a command that comes too late for it is refused, which the
        view shows. Raises StorageError for an unknown session or command.
        """
        with self.database.write() as tx:
            job_id = jobs.latest_job(tx, record_id)
            if job_id is None:
                raise StorageError("this session is a recording: it can be looked at, not run")
            jobs.send_command(tx, job_id, kind, payload or {}, expected_step, expected_iteration)

    def session_view(self, record_id: str, after_seq: int | None = None) -> dict[str, Any] | None:
        """Everything a page shows of a session, or None when nothing is newer than `after_seq`. Raises StorageError."""
        with self.database.read() as tx:
            if after_seq is not None and last_seq(tx, record_id) == after_seq:
                return None
            view = sessions.view(tx, record_id)
        config = from_dict(view["config"])
        search = config.search
        view["caution"] = _caution(config)
        for row in view["iterations"]:
            last = row["iteration"] == search.num_iterations - 1
            row["notes"] = plan.iteration_notes(row["total"], search.num_elites, last=last)
        return view

    def recent(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest records, newest first."""
        with self.database.read() as tx:
            return sessions.list_records(tx, limit=limit)

    def default_record(self) -> str | None:
        """What the page opens with: the newest finished session, else the newest; None in an empty lab.

        In a demo it is always the recorded one.
        """
        if self.settings.demo and (shown := self._recorded()) is not None:
            return shown
        listed = self.recent()
        finished = [record for record in listed if record["state"] == "succeeded"]
        return (finished or listed or [{"id": None}])[0]["id"]

    def _recorded(self) -> str | None:
        with self.database.read() as tx:
            found = sessions.list_records(tx, limit=1, text=recorded.NAME)
        return found[0]["id"] if found else None

    def artifact_path(self, name: str) -> Path:
        """Where a stored file lies. StorageError for anything that is not the name of a file that is there."""
        path = self.artifacts.path(name)
        if not path.is_file():
            raise StorageError(f"there is no stored file {name}")
        return path

    def cost_estimate(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """What a session would spend, in sample-forwards of the velocity network. Raises ConfigError."""
        config = from_dict(plain)
        spec = models.MODELS.get(config.model)
        pair = 2 if config.guidance_scale > 1 and (spec is None or spec.family == "sd3") else 1
        sigmas = shifted(config.num_steps)
        return {
            "nfe": plan.total_nfe(config, sigmas, pair),
            "search_nfe": plan.search_nfe(config, sigmas, pair),
            "searched_steps": plan.searched_steps(config, sigmas),
            "trajectories": plan.trajectories_for(config, sigmas, pair),
        }

    def options(self) -> dict[str, Any]:
        """Everything that can be chosen.

        Models, rewards, presets and arms each have `name`, `title`, `help`, `usable` and `why_not`; the rest are plain
        lists of words, and `defaults` is a whole config.
        """
        return {
            "models": [
                _option(spec.id, spec.help, models.usable(spec.id), **asdict(spec)) for spec in models.MODELS.values()
            ],
            "rewards": [
                _option(spec.name, spec.help, rewards.usable(spec.name), **asdict(spec))
                for spec in rewards.REWARDS.values()
            ],
            "presets": [_option(name, PRESET_HELP[name], search=asdict(search)) for name, search in PRESETS.items()],
            "arms": [_option(arm, ARM_HELP[arm]) for arm in ARMS],
            "step_kinds": list(STEP_KINDS),
            "readings": list(READINGS),
            "results": list(RESULT_MODES),
            "selections": list(SELECTIONS),
            "estimators": list(ESTIMATORS),
            "defaults": to_dict(ExploreConfig(EXAMPLE_PROMPT, threads=default_threads())),
        }


def _option(name: str, text: str, usable: tuple[bool, str] = (True, ""), /, **more: Any) -> dict[str, Any]:
    """`title` is the name unless `more` has one."""
    return {"title": name} | more | {"name": name, "help": text, "usable": usable[0], "why_not": usable[1]}


def _can_judge(reward: str, prompt: str) -> bool:
    spec = rewards.REWARDS.get(reward)
    return spec is None or spec.any_prompt or parse_caption(prompt) is not None


def _caution(config: ExploreConfig) -> str | None:
    """What a reader must know of a prompt that the embedded model was never taught."""
    if config.model != EMBEDDED_MODEL or parse_caption(config.prompt) is not None:
        return None
    return (
        f"The embedded model knows only captions such as {EXAMPLE_PROMPT!r}. It was never taught this prompt, and "
        "neither was the embedded CLIP: pictures and rewards mean little here."
    )
