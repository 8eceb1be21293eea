"""The lab's use cases as pages call them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import services
from app.services import Lab
from app.settings import Settings, default_threads
from core.config import ARMS, PRESETS, ExploreConfig, to_dict
from core.errors import ConfigError, StorageError
from storage import records
from tests.integration.test_worker import shown, start, worker

PROMPT = {"prompt": "a photo of a red circle"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture
def everything_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.models, "usable", lambda name: (True, ""))
    monkeypatch.setattr(services.rewards, "usable", lambda name: (True, ""))


def test_a_session_is_queued_with_the_machines_threads(lab: Lab, everything_usable: None) -> None:
    first, second = lab.start_session(PROMPT), lab.start_session(PROMPT | {"threads": 2}, name="two")
    assert shown(lab, first)["config"]["threads"] == default_threads()
    view = shown(lab, second)
    assert (view["config"]["threads"], view["name"], view["state"]) == (2, "two", "pending")
    assert (shown(lab, first)["job"]["queue_position"], view["job"]["queue_position"]) == (1, 2)


@pytest.mark.parametrize(
    ("plain", "field"),
    [
        ({}, "prompt"),
        (PROMPT | {"model": "sd9"}, "model"),
        (PROMPT | {"rewards": {"beauty": 1.0}}, "rewards"),
        (PROMPT | {"search": {"num_candidates": 0}}, "search.num_candidates"),
        (PROMPT | {"wings": 2}, "wings"),
        ([], "config"),
        (None, "config"),
        ("a photo", "config"),
    ],
)
def test_what_cannot_run_is_refused_by_field(lab: Lab, plain: Any, field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        lab.start_session(plain)
    assert field in refused.value.problems
    assert lab.recent() == []


def test_a_view_is_given_once_for_each_change(lab: Lab) -> None:
    record_id = start(lab)
    seq = shown(lab, record_id)["seq"]
    assert lab.session_view(record_id, after_seq=seq) is None
    lab.command(record_id, "pause")
    paused = lab.session_view(record_id, after_seq=seq)
    assert paused is not None and paused["state"] == "paused" and paused["seq"] > seq
    assert lab.session_view(record_id, after_seq=paused["seq"]) is None


@pytest.mark.parametrize("record_id", ["", "nosuch", "../x", "'; drop table records; --", "\0"])
def test_an_unknown_session_is_told(lab: Lab, record_id: str) -> None:
    for call in (lambda: lab.session_view(record_id), lambda: lab.command(record_id, "pause")):
        with pytest.raises(StorageError):
            call()


def test_an_unknown_command_is_told(lab: Lab) -> None:
    with pytest.raises(StorageError, match="expected to be one of pause, step, continue, cancel, elites"):
        lab.command(start(lab), "explode")


def test_the_first_page_opens_with_the_newest_finished_session(lab: Lab) -> None:
    assert lab.default_record() is None
    first = start(lab, num_steps=3, arms=[])
    assert lab.default_record() == first, "nothing is finished: the newest"
    worker(lab).run_one()
    start(lab, num_steps=3, arms=[])
    assert lab.default_record() == first


@pytest.mark.parametrize("name", ["", "lab.sqlite", "../lab.sqlite", "/etc/passwd", "0" * 64 + ".png", None])
def test_only_stored_files_have_a_path(lab: Lab, name: Any) -> None:
    with pytest.raises(StorageError):
        lab.artifact_path(name)


def test_options_have_a_name_a_title_help_and_a_reason_where_they_cannot_be_used(lab: Lab) -> None:
    options = lab.options()
    for group in ("models", "rewards", "presets", "arms"):
        for option in options[group]:
            assert option["name"] and option["title"] and option["help"]
            assert option["usable"] or option["why_not"]
    assert [option["name"] for option in options["presets"]] == list(PRESETS)
    assert [option["name"] for option in options["arms"]] == list(ARMS)
    assert options["defaults"].keys() == to_dict(ExploreConfig("-")).keys()


def test_the_cost_is_known_before_the_run(lab: Lab) -> None:
    estimate = lab.cost_estimate(PROMPT)
    # Four of ten steps searched with 5 x 5 noises, two forwards each: 2 (10 + 100); arms 20 (1 + 1 + 1 + 11 + 11).
    assert estimate == {"nfe": 720, "search_nfe": 220, "searched_steps": 4, "trajectories": 11}
    assert lab.cost_estimate(PROMPT | {"guidance_scale": 1.0, "arms": []})["nfe"] == 110
    with pytest.raises(ConfigError):
        lab.cost_estimate(PROMPT | {"num_steps": 1})


def test_a_reward_that_cannot_judge_the_prompt_cannot_be_climbed(lab: Lab, everything_usable: None) -> None:
    coffee = {"prompt": "A steaming cup of coffee", "rewards": {"shapes-verifier": 1.0}}
    with pytest.raises(ConfigError, match="can judge only captions of the embedded world"):
        lab.start_session(coffee)
    watched = lab.start_session(coffee | {"rewards": {"shapes-clip": 1.0, "shapes-verifier": 0.0}})
    view = lab.session_view(watched)
    assert view and "was never taught this prompt" in view["caution"]
    known = lab.session_view(lab.start_session({"prompt": "a photo of two red circles"}))
    assert known and known["caution"] is None


RECORDED = Settings(Path("/nowhere")).recorded


def test_the_recorded_session_comes_once_and_stays_away_when_it_is_thrown_away(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", recorded=RECORDED)

    def opened() -> tuple[list[str], str | None]:
        lab = Lab(settings)
        try:
            return [row["id"] for row in lab.recent()], lab.default_record()
        finally:
            lab.close()

    (record_id,), shown_first = opened()
    assert shown_first == record_id
    lab = Lab(settings)
    lab.change_record(record_id, {"name": "no longer called what it was"})
    lab.close()
    assert opened() == ([record_id], record_id)
    lab = Lab(settings)
    lab.trash_record(record_id)
    lab.close()
    assert opened() == ([], None)
    lab = Lab(settings)
    lab.delete_record(record_id)
    assert lab.sweeper.wait(60)
    lab.close()
    assert opened() == ([], None), "also when it was deleted for good"


def test_a_demo_opens_with_the_recorded_session_whatever_it_is_called(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", recorded=RECORDED, demo=True)
    lab = Lab(settings)
    (record,) = lab.recent()
    start(lab, num_steps=3, arms=[])
    worker(lab).run_one()
    lab.change_record(record["id"], {"name": "another"})
    assert lab.default_record() == record["id"] and len(lab.recent()) == 2
    lab.close()


def test_what_was_deleted_when_the_lab_died_is_cleared_away_at_the_next_start(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", recorded=None)
    lab = Lab(settings)
    record_id = start(lab, num_steps=3, arms=[])
    worker(lab).run_one()
    lab.trash_record(record_id)
    with lab.database.write() as tx:
        records.erase(tx, record_id)  # and then the power fails
    lab.close()
    lab = Lab(settings)
    assert lab.sweeper.wait(60)
    with lab.database.read() as tx:
        assert records.erased(tx) == []
    lab.close()


def test_a_delta_comes_with_the_same_words_as_the_whole(lab: Lab) -> None:
    record_id = start(lab, arms=[])
    seen: list[dict[str, Any]] = []

    def look() -> None:
        view = lab.session_view(record_id, seen[-1]["seq"] if seen else None)
        if view is not None:
            seen.append(view)

    def keep_looking(_name: str) -> None:
        look()

    worker(lab, keep_looking).run_one()
    look()
    assert len(seen) > 5 and not seen[0]["partial"] and all(view["partial"] for view in seen[1:])
    whole = shown(lab, record_id)
    for name, key in (("iterations", ("step", "iteration")), ("steps", ("step",))):
        rows = {tuple(row[part] for part in key): row for view in seen for row in view[name]}
        assert list(rows.values()) == whole[name]
    assert all(row["sentence"] and row["notes"] is not None for row in whole["iterations"])
    assert [bool(row["sentence"]) for row in whole["steps"]] == whole["searched"]
