"""A data folder as frames: every number as the lab tells it, and nothing written."""

import re
import runpy
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from app import frames
from app.measured import read_measured
from app.settings import ROOT
from app.train_runs import TrainRuns
from core.errors import LabError
from tests.e2e.kept import Kept
from tests.integration.handed import HOSTILE, filled, open_lab

EXAMPLE = ROOT / "assets" / "examples" / "records.py"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("here") / "data"
    return SimpleNamespace(folder=folder, **filled(folder))


def test_records_are_told_with_tags_cost_and_settings(here: SimpleNamespace) -> None:
    frame = frames.records_frame(here.folder, settings=True).set_index("id")
    row = frame.loc[here.session]
    assert (row["name"], row["tags"], row["config.seed"]) == (HOSTILE, ["for the talk", "red"], 3)
    assert row["config.search.num_candidates"] == 5 and row["nfe"] > 0 and Path(row["image"]).is_file()
    assert str(frame["created"].dtype).startswith("datetime64") and frame["created"].is_monotonic_decreasing
    assert set(frames.records_frame(here.folder, kind="train").id) == {here.train}


def test_candidates_are_those_of_the_session(here: SimpleNamespace) -> None:
    frame = frames.candidates_frame(here.folder, here.session)
    with closing(open_lab(here.folder)) as lab:
        rows = lab.session_view(here.session)["iterations"]
    told = [
        (row["step"], row["iteration"], index, total, row["rewards"]["shapes-verifier"][index], index in row["elites"])
        for row in rows
        for index, total in enumerate(row["total"])
    ]
    names = ["step", "iteration", "candidate", "total", "reward shapes-verifier", "elite"]
    assert [tuple(row) for row in frame[names].itertuples(index=False)] == told
    assert frame["elite"].dtype == bool and frame["image"].map(lambda path: Path(path).is_file()).all()
    assert len(frames.candidates_frame(here.folder)) > len(frame), "the watched searches' too"
    assert frames.candidates_frame(here.folder, "nobody").empty


def test_steps_iterations_and_arms_are_those_of_the_session(here: SimpleNamespace) -> None:
    with closing(open_lab(here.folder)) as lab:
        view = lab.session_view(here.session)
    steps = frames.steps_frame(here.folder, [here.session])
    assert steps["reward shapes-verifier"].tolist() == [row["rewards"]["shapes-verifier"] for row in view["steps"]]
    iterations = frames.iterations_frame(here.folder, here.session)
    assert iterations["total_best"].tolist() == [row["best"] for row in view["iterations"]]
    arms = frames.arms_frame(here.folder, here.session).set_index("arm")
    assert {row["arm"]: row["nfe"] for row in view["arms"]} == arms["nfe"].to_dict()
    assert frames.finishes_frame(here.folder, here.session).empty


def test_epochs_and_siblings_are_those_of_their_records(here: SimpleNamespace) -> None:
    epochs = frames.epochs_frame(here.folder, here.train).set_index("epoch")
    with closing(open_lab(here.folder)) as lab:
        told = TrainRuns(lab).view(here.train)["epochs"]
        measured = read_measured(lab.database, here.reliability)
    assert epochs.loc[6, "heldout"] == told[-1]["metrics"]["heldout"] and epochs["approx_kl"].isna().all()
    assert frames.samples_frame(here.folder, here.train)["sheet"].map(lambda path: Path(path).is_file()).all()
    siblings = frames.siblings_frame(here.folder, here.reliability)
    one = siblings[(siblings.estimate == "sde") & (siblings.reward == "total") & (siblings.row == 2)]
    table = one.pivot(index="sibling", columns="step", values="guess").to_numpy()
    assert (table == measured.proxy["sde"]["total"][2]).all() and len(siblings) == 4 * 3 * 3 * 3 * 5


def test_what_lies_in_the_trash_is_left_out_unless_it_is_named(here: SimpleNamespace) -> None:
    with closing(open_lab(here.folder)) as lab:
        lab.trash_record(here.session)
        try:
            assert here.session not in set(frames.records_frame(here.folder).id)
            assert here.session not in set(frames.arms_frame(here.folder).record)
            assert not frames.arms_frame(here.folder, here.session).empty
        finally:
            lab.restore_record(here.session)


def test_a_folder_without_a_lab_is_told_and_gets_none(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no lab in"):
        frames.records_frame(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_empty_lab_gives_empty_frames_with_their_columns(tmp_path: Path) -> None:
    open_lab(tmp_path / "data").close()
    for read in (frames.records_frame, frames.steps_frame, frames.candidates_frame, frames.arms_frame):
        assert isinstance(read(tmp_path / "data"), pd.DataFrame) and read(tmp_path / "data").empty
    assert frames.siblings_frame(tmp_path / "data").empty and frames.epochs_frame(tmp_path / "data").empty
    assert "elite" in frames.candidates_frame(tmp_path / "data")


def test_the_example_runs_over_a_lab(
    here: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(here.folder)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    for told in ("one sample, no verdict", "likeness", "literal", here.train):
        assert told in out
    assert not re.search(r"\de-\d|-0\.000\b|NaN", out)


def test_the_example_tells_its_interval_over_prompts_and_a_folder_without_a_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(open_lab(tmp_path / "data")) as lab:
        kept = Kept(lab)
        for number in range(5):
            rewards = {"search": 0.5 + number / 100, "no_search": 0.5}
            kept.finished(f"a photo of {number} stars", rewards=rewards)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "data")])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "+0.020 (pairs: 5; 95% interval +0." in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "mistyped")])
    with pytest.raises(LabError, match="no lab in .*mistyped"):
        runpy.run_path(str(EXAMPLE), run_name="__main__")


def test_frames_need_no_torch() -> None:
    code = "import sys, app.frames; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
