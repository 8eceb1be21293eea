"""Records handed on: what one lab writes another takes in, whole, once, and as it was."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app import sweep_config
from app.handing import read_bundle, write_bundle
from app.handing.form import FORMAT, BundleError, Limits, upgraded
from app.services import Lab
from core.errors import LabError
from storage import runs, sessions, sweeps
from storage.artifacts import Artifacts
from tests.integration.handed import HOSTILE, files, filled, open_lab, rows
from tests.integration.test_worker import start

Change = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("here") / "data"
    ids = filled(folder)
    with closing(open_lab(folder)) as lab:
        yield lab, ids


@pytest.fixture(scope="module")
def bundle(here: tuple[Lab, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    lab, ids = here
    target = tmp_path_factory.mktemp("zips") / "all.zip"
    write_bundle(lab.database, lab.artifacts, lab.checkpoints, list(ids.values()), target)
    return target


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Lab]:
    with closing(open_lab(tmp_path / "there")) as lab:
        yield lab


def take(lab: Lab, path: Path, **how: Any) -> Any:
    return read_bundle(lab.database, lab.artifacts, lab.checkpoints, path, **how)


def changed(bundle: Path, target: Path, change: Change, *, honest: bool = True) -> Path:
    """A bundle with its files changed; an honest one has a manifest that tells of them as they then are."""
    with zipfile.ZipFile(bundle) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change(content)
    if honest:
        manifest = json.loads(content["manifest.json"])
        manifest["files"] = {
            name: {"bytes": len(one), "sha256": hashlib.sha256(one).hexdigest()}
            for name, one in content.items()
            if name != "manifest.json"
        }
        content["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, one in content.items():
            archive.writestr(name, one)
    return target


def edit(name: str, act: Callable[[Any], None]) -> Change:
    """Change the JSON of one file, each line of a table."""

    def change(content: dict[str, bytes]) -> None:
        found = next(one for one in content if one.endswith(name))
        if not name.endswith(".jsonl"):
            value = json.loads(content[found])
            act(value)
            content[found] = json.dumps(value).encode()
            return
        lines = [json.loads(line) for line in content[found].splitlines()]
        for line in lines:
            act(line)
        content[found] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return change


def test_records_of_every_kind_are_the_same_in_the_other_lab(
    here: tuple[Lab, dict[str, str]], bundle: Path, there: Lab
) -> None:
    lab, ids = here
    taken = take(there, bundle)
    before, after = rows(lab), rows(there)
    assert {one["id"] for one in taken.taken} == {row["id"] for row in before["records"]} > set(ids.values())
    assert taken.known == () and taken.notes == ()
    assert after == before
    assert before["watched"] and before["siblings"] and before["checkpoints"] and before["candidate_rewards"]
    artifacts = {name for name in files(lab.settings.data_dir) if name.startswith("artifacts/")}
    assert {name for name in files(there.settings.data_dir) if name.startswith("artifacts/")} == artifacts
    assert there.records(tag="red")["records"][0]["name"] == HOSTILE
    assert there.session_view(ids["session"])["job"] is None  # it can be looked at, and its job stayed where it ran
    assert there.trained_form(ids["train"])["model"] == f"fake+{ids['train']}"
    with there.database.read() as tx:
        for row in runs.checkpoints_of(tx, ids["train"]):
            there.checkpoints.checked(ids["train"], row.folder, row.files)


def test_two_bundles_of_the_same_records_are_the_same_file(
    here: tuple[Lab, dict[str, str]], bundle: Path, tmp_path: Path
) -> None:
    lab, ids = here
    again = tmp_path / "again.zip"
    write_bundle(lab.database, lab.artifacts, lab.checkpoints, list(ids.values()), again)
    assert again.read_bytes() == bundle.read_bytes()


def test_what_is_here_already_is_told_and_not_doubled(bundle: Path, there: Lab) -> None:
    first = take(there, bundle)
    session = next(one["id"] for one in first.taken if one["name"] == HOSTILE)
    there.change_record(session, {"name": "mine now"})
    there.trash_record(session)
    before, stored = rows(there), files(there.settings.data_dir)
    second = take(there, bundle)
    assert second.taken == () and len(second.known) == len(first.taken)
    assert next(one for one in second.known if one["id"] == session)["deleted"]
    assert (rows(there), files(there.settings.data_dir)) == (before, stored)


def test_a_part_of_it_that_is_missing_is_taken(bundle: Path, there: Lab, here: tuple[Lab, dict[str, str]]) -> None:
    first = take(there, bundle)
    there.trash_record(here[1]["session"])
    there.delete_record(here[1]["session"])
    assert there.sweeper.wait(10)
    again = take(there, bundle)
    assert [one["id"] for one in again.taken] == [here[1]["session"]]
    assert len(again.known) == len(first.taken) - 1


def test_a_record_alone_leaves_its_parent_behind_and_says_so(
    here: tuple[Lab, dict[str, str]], there: Lab, tmp_path: Path
) -> None:
    lab, ids = here
    watched = next(row["session_id"] for row in rows(lab)["watched"])
    target = tmp_path / "one.zip"
    assert write_bundle(lab.database, lab.artifacts, lab.checkpoints, [watched], target) == [watched]
    taken = take(there, target)
    assert taken.notes == (f"{watched} belongs to {ids['train']}, which is not here",)
    assert rows(there)["records"][0]["parent"] is None


def test_what_cannot_be_handed_on_is_refused_and_leaves_nothing(
    here: tuple[Lab, dict[str, str]], tmp_path: Path
) -> None:
    lab, ids = here
    waiting = start(lab)
    for asked, message in (
        ([waiting], "has not ended"),
        (["nobody"], "there is no session"),
        ([], "expected 1 to 200 records"),
    ):
        with pytest.raises(LabError, match=message):
            write_bundle(lab.database, lab.artifacts, lab.checkpoints, asked, tmp_path / "no.zip")
    lost = Artifacts(tmp_path / "elsewhere")
    with pytest.raises(LabError, match="is missing"):
        write_bundle(lab.database, lost, lab.checkpoints, [ids["session"]], tmp_path / "no.zip")
    assert [one.name for one in tmp_path.iterdir()] == ["elsewhere"]
    lab.cancel_job(lab.session_view(waiting)["job"]["id"])


def test_columns_that_an_older_version_did_not_have_get_their_defaults(
    bundle: Path, there: Lab, tmp_path: Path
) -> None:
    def older(content: dict[str, bytes]) -> None:
        for name in [one for one in content if one.endswith(("/origins.jsonl", "/tags.jsonl"))]:
            del content[name]
        edit("/iterations.jsonl", lambda row: row.pop("total_mean"))(content)

    assert len(take(there, changed(bundle, tmp_path / "old.zip", older)).taken) > 3


def test_older_formats_are_brought_up_to_date_and_newer_ones_refused() -> None:
    steps = {1: lambda told: {"prompts": [told["prompt"]]}, 2: lambda told: told | {"whole": True}}
    assert upgraded({"format": 1, "prompt": "a"}, steps, newest=3) == {"format": 3, "prompts": ["a"], "whole": True}
    assert upgraded({"format": 2, "prompts": []}, steps, newest=3) == {"format": 3, "prompts": [], "whole": True}
    with pytest.raises(BundleError, match="format 4, and this version of the lab reads up to 3.*'2.0'"):
        upgraded({"format": 4, "lab": "2.0"}, steps, newest=3)
    for nonsense in (None, "1", True, 0, 1.0):
        with pytest.raises(BundleError, match="expected to be a whole number from 1"):
            upgraded({"format": nonsense}, steps, newest=3)


LIES: dict[str, tuple[Change, str]] = {
    "a state that is none": (edit("record.json", lambda row: row.update(state="running")), "has ended"),
    "a kind that is none": (edit("record.json", lambda row: row.update(kind="user")), "says that it is 'user'"),
    "another's id": (edit("record.json", lambda row: row.update(id="a" * 12)), "says that it is"),
    "settings that are none": (edit("record.json", lambda row: row["config"].update(num_steps=0)), "cannot be read"),
    "a column too many": (edit("record.json", lambda row: row.update(locked=True)), "expected an object of its col"),
    "a picture that it lacks": (edit("record.json", lambda row: row.update(picture="0" * 64 + ".png")), "it brings"),
    "a path for a picture": (edit("/steps.jsonl", lambda row: row.update(image="../../x.png")), "a file that it bri"),
    "text for a number": (edit("/candidates.jsonl", lambda row: row.update(total="<b>")), "a number or null"),
    "an object for a list": (edit("/sessions.jsonl", lambda row: row.update(sigmas={"a": 1})), "sessions.sigmas"),
    "a schedule too short": (edit("/sessions.jsonl", lambda row: row.update(sigmas=[1.0])), "expected 7 sigmas"),
    "a step that is none": (edit("/steps.jsonl", lambda row: row.update(step=row["step"] + 9)), "and it has 6 steps"),
    "elites that are none": (edit("/iterations.jsonl", lambda row: row.update(elites=[7])), "does not agree with"),
    "a number too large": (edit("/iterations.jsonl", lambda row: row.update(nfe=2**40)), "a whole number"),
    "rows twice": (edit("/steps.jsonl", lambda row: row.update(step=0)), "contradict each other"),
    "numbers of no sibling": (
        edit("/siblings.jsonl", lambda row: row["data"]["truth"].update(total=[1.0])),
        "does not fit what was to be measured",
    ),
    "no text for a database": (edit("/tags.jsonl", lambda row: row.update(tag="a\0b")), "no database can keep"),
    "another's table": (
        lambda content: content.update({next(n for n in content if "/siblings" in n).replace("siblings", "jobs"): b""}),
        "'jobs' is no table of a reliability",
    ),
    "a picture that is a page": (
        lambda content: content.update({f"artifacts/{hashlib.sha256(b'<html>').hexdigest()}.png": b"<html>"}),
        "is not a PNG picture",
    ),
    "a page for a picture": (
        lambda content: content.update({f"artifacts/{hashlib.sha256(b'<p>').hexdigest()}.html": b"<p>"}),
        "is no name of a bundle's file",
    ),
    "weights that are a program": (
        lambda content: content.update({next(n for n in content if n.endswith("/trainer.json")): b"import os"}),
        "cannot be read as JSON",
    ),
    "a checkpoint nobody tells of": (
        lambda content: content.update({"checkpoints/" + next(n for n in content if n.endswith("/epochs.jsonl"))
                                        .split("/")[1] + "/9/trainer.json": b'{"state": {}}'}),
        "its checkpoints and their files differ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_bundle_that_is_whole_and_lies_is_refused(lie: str, bundle: Path, there: Lab, tmp_path: Path) -> None:
    change, message = LIES[lie]
    before = files(tmp_path)
    path = changed(bundle, tmp_path / "lie.zip", change)
    with pytest.raises(BundleError, match=message):
        take(there, path)
    assert files(tmp_path) == before | {"lie.zip"}
    assert not any(rows(there).values())


def test_an_id_that_another_record_has_here_is_not_given_twice(bundle: Path, there: Lab, tmp_path: Path) -> None:
    take(there, bundle)
    before = rows(there)
    other = changed(bundle, tmp_path / "other.zip", edit("record.json", lambda row: row.update(created_at=1.0)))
    with pytest.raises(BundleError, match="the id of another record here"):
        take(there, other)
    assert rows(there) == before


def test_what_export_writes_for_other_programs_is_told_apart(there: Lab, tmp_path: Path) -> None:
    path = tmp_path / "tables.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": 1, "session": "abc", "files": {}}))
    with pytest.raises(BundleError, match="tables.zip: it is a session as tables and pictures"):
        take(there, path)


def test_limits_are_kept_and_progress_is_told(bundle: Path, there: Lab) -> None:
    for limits, message in (
        (Limits(files=5), "at most 5 are expected|more than 5 files need"),
        (Limits(total=1000), "unpacked it would take"),
        (Limits(file=100), "at most 100"),
        (Limits(manifest=100), "at most 100"),
        (Limits(line=10), "larger than 10 bytes|a line of more than 10"),
    ):
        with pytest.raises(BundleError, match=message):
            take(there, bundle, limits=limits)
    heard: list[tuple[int, int]] = []
    take(there, bundle, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1] and heard == sorted(heard)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "frozen").glob("bundle-*.zip")), ids=lambda one: one.stem
)
def test_a_bundle_of_every_format_that_was_ever_written_is_taken(path: Path, there: Lab) -> None:
    taken = take(there, path)
    assert {one["kind"] for one in taken.taken} == {"session", "reliability", "train"}
    session = next(one["id"] for one in taken.taken if one["name"] == HOSTILE)
    view = there.session_view(session)
    assert view["state"] == "succeeded" and view["iterations"] and len(view["arms"]) > 1


def test_every_format_has_a_frozen_bundle() -> None:
    stored = {path.stem for path in (Path(__file__).parent / "frozen").glob("*.zip")}
    assert stored == {f"bundle-{number}" for number in range(1, FORMAT + 1)}


def test_a_sweep_brings_its_sessions_and_a_false_one_is_refused(tmp_path: Path, there: Lab) -> None:
    axes = [{"setting": "noise_level", "values": [0.3, 0.7]}]
    config = sweep_config.read_sweep({"axes": axes, "prompts": ["a photo of a red circle"], "seeds": [1]})
    plain = sweep_config.to_plain(config)
    with closing(open_lab(tmp_path / "here")) as lab:
        with lab.database.write() as tx:
            parent = sweeps.create(tx, plain, sweep_config.hash_of(config), name="two levels", preset="smart-grpo")
            child = sessions.create(tx, config.runs()[0].config, parent=parent)
            for record_id in (parent, child):
                sessions.set_state(tx, record_id, "succeeded")
        target = tmp_path / "sweep.zip"
        assert write_bundle(lab.database, lab.artifacts, lab.checkpoints, [parent], target) == [parent, child]
    for lie in ({"base": {}}, {"axes": "all"}, {}):
        false = changed(
            target, tmp_path / "false.zip", edit(f"{parent}/record.json", lambda row, lie=lie: row.update(config=lie))
        )
        with pytest.raises(BundleError, match="the settings of .* cannot be read"):
            take(there, false)
    assert {one["kind"] for one in take(there, target).taken} == {"sweep", "session"}
    found = {row["id"]: row["parent"] for row in rows(there)["records"]}
    assert found == {parent: None, child: parent}
