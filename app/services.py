"""What the lab can do, as pages and command line call it. No torch: the web process imports this."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import queue, record_changes, recorded, replay_words, trained
from app import records as library
from app.clearing import Sweeper
from app.environment import machine
from app.finishing import queue_finish
from app.progress import nfe_per_velocity
from app.running import end_killed
from app.sentences import iteration_sentence, step_sentence
from app.settings import Settings, default_threads
from app.toolbox import Toolbox
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
from core.errors import ConfigError, NotFound, StorageError
from core.models import registry as models
from core.rewards import registry as rewards
from core.schedule import shifted
from core.search import registry as searches
from core.shapes.scenes import parse_caption
from storage import jobs, records, sessions
from storage.artifacts import Artifacts
from storage.checkpoints import Checkpoints
from storage.counter import last_seq
from storage.engine import Database, open_database
from storage.pictures import place_of
from storage.rates import seconds_per_nfe
from storage.replays import made_on
from storage.views import first_means, rounds, step_view

RECORDED_MARK = "recorded"  # which record is the session that came with the lab
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
        self.checkpoints = Checkpoints(settings.checkpoints_dir)
        self.database: Database = open_database(settings.database, migrate=True)
        end_killed(self.database, settings.data_dir)
        self.sweeper = Sweeper(self.database, self.artifacts, checkpoints=self.checkpoints)
        with self.database.read() as tx:
            known, used = records.mark(tx, RECORDED_MARK), records.any_record(tx)
            if records.erased(tx):
                self.sweeper.request()
        if settings.recorded is not None and known is None and not used:  # once here, it may be thrown away for good
            self.import_recorded()

    def close(self) -> None:
        """End what runs in the background and close the database's connections."""
        self.sweeper.close()
        self.database.dispose()

    def seal(self, why: str) -> None:
        """From here on nothing can be written: whatever would is answered with ReadOnly and this sentence."""
        self.database = replace(self.database, sealed=why)

    def import_recorded(self) -> str | None:
        """Put the session that came with the lab into this data folder; None where the checkout has none."""
        folder = self.settings.recorded
        if folder is None or not (folder / recorded.MANIFEST).is_file():
            return None
        record_id = recorded.import_session(self.database, self.artifacts, folder)
        with self.database.write() as tx:
            records.set_mark(tx, RECORDED_MARK, record_id)
        return record_id

    def usable(self, model_id: str) -> tuple[bool, str]:
        """Whether a model, trained here or not, can be loaded, and if not why, in plain words (else "")."""
        with self.database.read() as tx:
            return trained.usable(tx, model_id)

    def trained_form(self, record_id: str, epoch: Any = None) -> dict[str, Any]:
        """The settings of a session that tries a run's trained model, or that of one of its checkpoints, on a prompt
        that it was not trained on. Raises LabError.
        """
        with self.database.read() as tx:
            return trained.session_of(tx, record_id, epoch)

    def with_trained(self, toolbox: Toolbox) -> Toolbox:
        """The same tools, whose models include those that were trained here."""
        return trained.with_trained(toolbox, self.database, self.checkpoints)

    def read_config(self, plain: Mapping[str, Any]) -> ExploreConfig:
        """Validate a config and check that its model and rewards can be used here. Raises ConfigError."""
        config = from_dict({"threads": default_threads()} | dict(plain) if isinstance(plain, Mapping) else plain)
        problems: dict[str, str] = {}
        fine, why = self.usable(config.model)
        if not fine:
            problems["model"] = why
        fine, why = searches.usable(config.search.algorithm)
        if not fine:
            problems["search.algorithm"] = why
        for name in config.rewards:
            fine, why = rewards.usable(name)
            if not fine:
                problems["rewards"] = why
        climbed = [name for name, weight in config.rewards.items() if weight]
        blind = [name for name in climbed if not rewards.can_judge(name, config.prompt)]
        if blind:
            judged = "; ".join(rewards.what_it_judges(name) for name in blind)
            problems["rewards"] = f"{judged}: expected such a prompt, or another reward to climb"
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
                told = "this session has no job of its own: a recording or a part of a sweep can only be looked at"
                raise StorageError(told)
            jobs.send_command(tx, job_id, kind, payload or {}, expected_step, expected_iteration)

    def finish(self, record_id: str, step: Any, iteration: Any, candidates: Any) -> int:
        """Have candidates of a scored round rolled out to their final pictures; returns how many are newly queued.

        Those already finished or queued are left out. Raises LabError: see `app.finishing.queue_finish`.
        """
        with self.database.write() as tx:
            return queue_finish(tx, record_id, step, iteration, candidates)

    def session_view(self, record_id: str, after_seq: int | None = None) -> dict[str, Any] | None:
        """Everything a page shows of a session, or None when nothing is newer than `after_seq`. Raises StorageError."""
        with self.database.read() as tx:
            if after_seq is not None and last_seq(tx, record_id) == after_seq:
                return None
            view = sessions.view(tx, record_id, after_seq) | {"replay": replay_words.told(tx, record_id)}
            means = first_means(tx, record_id, (row["step"] for row in view["iterations"] if row["iteration"]))
            # A whole view has every iteration; a part may hold a step without the iterations that led to it.
            searched = (
                rounds(tx, record_id, (row["step"] for row in view["steps"]))
                if view["partial"]
                else {step: list(rows) for step, rows in groupby(view["iterations"], key=itemgetter("step"))}
            )
        config = from_dict(view["config"])
        view["caution"] = _caution(config)
        for row in view["iterations"]:
            _add_words(row, config, means)
        for row in view["steps"]:
            row["sentence"] = step_sentence(view["config"], searched.get(row["step"], []), row)
        return view

    def charted(self, record_id: str, step: int) -> dict[str, Any]:
        """A session's view for the charts of one step: only that step's candidates are in it. Raises NotFound."""
        with self.database.read() as tx:
            return sessions.view(tx, record_id, only=(step,))

    def step_detail(self, record_id: str, step: int | str) -> dict[str, Any]:
        """One step's iterations with all their candidates' numbers, which a large session's view leaves out.

        `step` may come from an address; -1 is the search of x_1. Raises NotFound.
        """
        text = str(step)
        if not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > 6:
            raise NotFound(f"there is no step {step!r:.60}")
        with self.database.read() as tx:
            rows = step_view(tx, record_id, int(text))
            config = sessions.get_config(tx, record_id)
            means = first_means(tx, record_id, [int(text)])
        for row in rows:
            _add_words(row, config, means)
        return {"step": int(text), "iterations": rows}

    def records(self, **asked: str) -> dict[str, Any]:
        """The library, as texts from an address ask for it: see `app.records.listed`. Raises LabError."""
        return library.listed(self.database, asked)

    def ids_that_begin(self, text: str) -> list[str]:
        """The sessions whose id is `text` or, where none is, begins with it; a few at most."""
        with self.database.read() as tx:
            return records.ids_that_begin(tx, text)

    def change_record(self, record_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Rename, star, note, lock or tag a record; returns it as listed. Raises ConfigError by field, NotFound."""
        record_changes.change(self.database, record_id, body)
        return library.find(self.database, record_id)

    def trash_record(self, record_id: str) -> dict[str, Any]:
        """Put a record into the trash; returns it as listed. Raises LabError while it runs or is locked."""
        with self.database.write() as tx:
            records.trash(tx, record_id)
        return library.find(self.database, record_id)

    def restore_record(self, record_id: str) -> dict[str, Any]:
        """Bring a record back from the trash; returns it as listed. Raises NotFound."""
        with self.database.write() as tx:
            records.restore(tx, record_id)
        return library.find(self.database, record_id)

    def delete_record(self, record_id: str) -> None:
        """Delete a record in the trash for good; its rows and files are cleared away soon. Raises LabError."""
        with self.database.write() as tx:
            records.erase(tx, record_id)
        self.sweeper.request()

    def queue(self) -> dict[str, Any]:
        """What runs, waits and has just ended: see `app.queue.listed`."""
        return queue.listed(self.database)

    def cancel_job(self, job_id: Any) -> dict[str, Any]:
        """Ask a job to end; returns it as listed. Raises LabError."""
        return queue.cancel(self.database, job_id)

    def retry_job(self, job_id: Any) -> dict[str, Any]:
        """Let a failed or cancelled job go on as a new one; returns that one as listed. Raises LabError."""
        return queue.retry(self.database, job_id)

    def move_job(self, job_id: Any, to: Any) -> dict[str, Any]:
        """Give a waiting job another place, 1 being the next; returns it as listed. Raises LabError."""
        return queue.move(self.database, job_id, to)

    def recent(self, limit: int = 50, kind: str | None = None) -> list[dict[str, Any]]:
        """The newest records, or those of one kind, newest first."""
        with self.database.read() as tx:
            return records.list_records(tx, limit=limit, kind=kind)

    def default_record(self) -> str | None:
        """What the page opens with: the newest finished session, else the newest; None in an empty lab.

        In a demo it is always the recorded one.
        """
        if self.settings.demo and (shown := self._recorded()) is not None:
            return shown
        listed = self.recent(kind="session")
        finished = [record for record in listed if record["state"] == "succeeded"]
        return (finished or listed or [{"id": None}])[0]["id"]

    def came_with_lab(self, record_id: str) -> bool:
        """Whether a record is the session that was recorded for a first visit."""
        return record_id == self._recorded()

    def _recorded(self) -> str | None:
        with self.database.read() as tx:
            known = records.mark(tx, RECORDED_MARK)
            return known if known is not None and records.in_use(tx, known) else None

    def artifact_path(self, name: str) -> Path:
        """Where a stored file lies. StorageError for anything that is not the name of a file that is there."""
        path = self.artifacts.path(name)
        if not path.is_file():
            raise StorageError(f"there is no stored file {name}")
        return path

    def cost_estimate(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """What a session would spend, in sample-forwards of the velocity network. Raises ConfigError."""
        config = from_dict(plain)
        pair = nfe_per_velocity(config)
        sigmas = shifted(config.num_steps)
        return {
            "nfe": plan.total_nfe(config, sigmas, pair),
            "search_nfe": plan.search_nfe(config, sigmas, pair),
            "searched_steps": plan.searched_steps(config, sigmas),
            "trajectories": plan.trajectories_for(config, sigmas, pair),
        }

    def measured_rate(self, model: str) -> float | None:
        """Seconds a velocity evaluation took in the model's newest sessions here, all else included, or None."""
        with self.database.read() as tx:
            return seconds_per_nfe(tx, model, here=partial(self.ran_here, tx))

    def ran_here(self, tx: Session, record_id: str) -> bool:
        """Whether a record's times are this machine's: not those of the session that came with the lab, of what another
        lab has handed on as far as that was another machine's, nor any in a demonstration, where nothing runs."""
        if self.settings.demo or record_id == records.mark(tx, RECORDED_MARK):
            return False
        return made_on(tx, record_id, machine())

    def config_of(self, record_id: str) -> ExploreConfig:
        """What a session was asked to do. Raises NotFound."""
        with self.database.read() as tx:
            return sessions.get_config(tx, record_id)

    def place_of_picture(self, record_id: str, name: str, hint: Mapping[str, Any]) -> dict[str, Any] | None:
        """Where in a session a picture stands, None where it is not one of its own. Raises NotFound.

        `hint` (some of step, iteration, candidate, arm) says which of several equal pictures is meant.
        """
        with self.database.read() as tx:
            return place_of(tx, record_id, name, hint)

    def options(self, model: str | None = None) -> dict[str, Any]:
        """Everything that can be chosen; also `model`, where it is a checkpoint of a run.

        Models, rewards, presets and arms each have `name`, `title`, `help`, `usable` and `why_not`; the rest are plain
        lists of words, and `defaults` is a whole config.
        """
        with self.database.read() as tx:
            made_here = trained.offers(tx, model)
        return {
            "models": [
                _option(spec.id, spec.help, models.usable(spec.id), **asdict(spec)) for spec in models.MODELS.values()
            ]
            + made_here,
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


def _add_words(row: dict[str, Any], config: ExploreConfig, means: Mapping[int, float | None]) -> None:
    """What an iteration's numbers mean: `notes` on what is unusual in them, and a `sentence`."""
    last = row["iteration"] == config.search.num_iterations - 1
    finite, best = row["finite"], row["best"]
    # As many as there are, and equal only if all are: enough to tell what is unusual, without reading every candidate.
    totals = [best] + [row["mean"]] * (finite - 1) if finite else []
    row["notes"] = plan.batch_notes(row["batch_size"], config) + plan.iteration_notes(
        totals + [None] * (row["num_candidates"] - finite), config.search.num_elites, last=last
    )
    row["sentence"] = iteration_sentence(row, {"mean": means.get(row["step"])} if row["iteration"] else None)


def _caution(config: ExploreConfig) -> str | None:
    """What a reader must know of a prompt that the embedded model was never taught."""
    if trained.base_of(config.model) != EMBEDDED_MODEL or parse_caption(config.prompt) is not None:
        return None
    return (
        f"The embedded model knows only captions such as {EXAMPLE_PROMPT!r}. It was never taught this prompt, and "
        "neither was the embedded CLIP: pictures and rewards mean little here."
    )
