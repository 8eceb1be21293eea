"""`show` and `export`: a stored session in the terminal, and as files that need no lab."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app import show
from app.__main__ import main
from app.export import MANIFEST, export
from app.services import Lab
from app.settings import Settings
from core.errors import LabError
from core.events import CandidateFinished, Cost
from storage import sessions
from tests.integration.test_worker import start, worker


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture
def record(lab: Lab) -> str:
    """A finished session with one candidate rolled out."""
    record_id = start(lab, num_steps=6, window_min=0.6, arms=["ode"], rewards={"shapes-verifier": 1.0, "jpeg": 0.0})
    assert worker(lab).run_one()
    view = lab.session_view(record_id)
    assert view
    row = view["iterations"][0]
    done = CandidateFinished(row["step"], 0, 1, None, {"shapes-verifier": 0.5}, 0.5, Cost(12, 1, 2, 0.5))
    with lab.database.write() as tx:
        sessions.save_finish(tx, record_id, done, row["images"][0])
    return record_id


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def read(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_show_prints_every_part_of_a_session(lab: Lab, record: str, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change_record(record, {"name": "first", "note": "look\nhere", "star": True})
    assert main(["show", record[:6], "--data-dir", str(lab.settings.data_dir)]) == 0
    out = capsys.readouterr().out
    view = lab.session_view(record)
    assert view
    for text in (
        f"session  {record} (star)",
        "name     first",
        "note     look here",
        "prompt   a photo of a red circle",
    ):
        assert text in out
    parts = out.split("\n\n")
    assert [part.splitlines()[0] for part in parts[1:]] == [
        "Steps", "Iterations", "Final pictures of candidates", "Outcome",
    ]  # fmt: skip
    assert [len(part.splitlines()) - 2 for part in parts[1:]] == [
        len(view["steps"]), len(view["iterations"]), 1, len(view["arms"]),
    ]  # fmt: skip
    for part in parts[1:]:
        assert len({len(line) for line in part.splitlines()[1:]}) == 1, "columns stand under one another"


def test_show_prints_one_object_when_asked(lab: Lab, record: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "newest", "--json", "--data-dir", str(lab.settings.data_dir)]) == 0
    assert json.loads(capsys.readouterr().out) == lab.session_view(record)


def test_a_terminal_is_not_commanded_by_a_name(lab: Lab, record: str) -> None:
    lab.change_record(record, {"name": "\x1b[2J\x07red\u202e"})
    view = lab.session_view(record)
    assert view and r"\u001b[2J\u0007red\u202e" in show.described(view)


def test_a_session_that_has_not_begun_is_shown_as_far_as_it_goes(lab: Lab) -> None:
    view = lab.session_view(start(lab))
    assert view and "pending" in show.described(view) and "Steps" not in show.described(view)


@pytest.mark.parametrize("command", ["show", "export"])
@pytest.mark.parametrize("record", ["nosuch", "", "%", "../x"])
def test_what_is_not_there_is_told(lab: Lab, command: str, record: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, record, "--data-dir", str(lab.settings.data_dir)]) == 2
    assert "there is no session" in capsys.readouterr().err


def test_a_folder_without_a_lab_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "newest", "--data-dir", str(tmp_path)]) == 2
    assert "there is no lab" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_an_archive_holds_settings_tables_pictures_and_what_they_are(
    lab: Lab, record: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "kept.zip"
    assert main(["export", record, "--to", str(target), "--data-dir", str(lab.settings.data_dir)]) == 0
    assert capsys.readouterr().out.strip() == str(target)
    files, view = read(target), lab.session_view(record)
    assert view
    manifest = json.loads(files.pop(MANIFEST))
    assert manifest["session"] == record and manifest["schema"] and manifest["lab"] and manifest["python"]
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    }
    assert json.loads(files["session.json"])["config"] == view["config"]
    for name, parts in (("steps", "steps"), ("iterations", "iterations"), ("arms", "arms"), ("finishes", "finishes")):
        rows = table(files[f"{name}.csv"])
        assert len(rows) == len(view[parts])
        assert all(row.get("picture", "session.json") in files for row in rows)


def test_the_tables_hold_every_digit(lab: Lab, record: str, tmp_path: Path) -> None:
    view = lab.session_view(record)
    assert view
    files = read(export(lab, view, tmp_path / "kept.zip"))
    rows = iter(table(files["candidates.csv"]))
    for iteration in view["iterations"]:
        for index, total in enumerate(iteration["total"]):
            row = next(rows)
            assert (int(row["step"]), int(row["iteration"]), int(row["candidate"])) == (
                iteration["step"], iteration["iteration"], index,
            )  # fmt: skip
            assert (float(row["total"]) if row["total"] else None) == total
            assert float(row["reward shapes-verifier"]) == iteration["rewards"]["shapes-verifier"][index]
            assert row["elite"] == str(int(index in iteration["elites"]))
            Image.open(io.BytesIO(files[row["picture"]])).verify()
            assert hashlib.sha256(files[row["picture"]]).hexdigest() in iteration["images"][index]
    assert next(rows, None) is None


def test_two_exports_of_one_session_are_the_same(lab: Lab, record: str, tmp_path: Path) -> None:
    view = lab.session_view(record)
    assert view
    first, second = (export(lab, view, tmp_path / f"{name}.zip") for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_folder_holds_the_same_as_an_archive(lab: Lab, record: str, tmp_path: Path) -> None:
    view = lab.session_view(record)
    assert view
    folder, archive = export(lab, view, tmp_path / "kept"), export(lab, view, tmp_path / "kept.zip")
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == read(archive)


@pytest.mark.parametrize("name", ["kept.zip", "kept"])
def test_an_export_that_fails_leaves_nothing(lab: Lab, record: str, tmp_path: Path, name: str) -> None:
    view = lab.session_view(record)
    assert view
    lab.artifacts.path(view["arms"][0]["image"]).unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(LabError, match="is missing"):
        export(lab, view, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["kept.zip", "kept"])
def test_nothing_is_written_over(lab: Lab, record: str, tmp_path: Path, name: str) -> None:
    view = lab.session_view(record)
    assert view
    (tmp_path / name).write_text("mine")
    with pytest.raises(LabError, match="is there already"):
        export(lab, view, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(LabError, match="there is no folder"):
        export(lab, view, tmp_path / "nowhere" / name)
