"""Facts about the lab: the worker's note, disk use, what is usable, and the text of it all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app import status
from app.presence import NOTE, announce, device_facts, read_presence
from app.settings import ROOT, Settings
from core.errors import NotFound
from core.models import registry as models
from storage.artifacts import Artifacts
from storage.engine import Database, open_database
from tests.contract.storage_examples import new_session, record_all


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "lab.sqlite", migrate=True)
    yield opened
    opened.dispose()


def test_a_folder_without_a_worker_says_so(tmp_path: Path) -> None:
    told = read_presence(tmp_path)
    assert told["state"] == "never" and told["device"] is None and "python -m app serve" in told["text"]


def test_a_worker_is_starting_then_ready_then_gone(tmp_path: Path) -> None:
    tell_ready = announce(tmp_path, "auto")
    assert read_presence(tmp_path)["state"] == "starting"
    tell_ready()
    ready = read_presence(tmp_path)
    assert ready["state"] == "ready" and ready["pid"] and ready["started"].endswith("Z")
    del tell_ready  # and with it the lock, as when its process ends
    assert read_presence(tmp_path)["state"] == "gone"


def test_a_killed_worker_is_gone_though_its_note_says_ready(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, time; from app.presence import announce; "
        "ready = announce(pathlib.Path(sys.argv[1]), 'cpu'); ready(); print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "up\n"
        assert read_presence(tmp_path) | {"started": None} == {
            "state": "ready", "text": read_presence(tmp_path)["text"], "started": None, "pid": process.pid,
            "device": None, "device_name": None, "device_memory": None, "unused": None, "torch": None,
        }  # fmt: skip
        process.kill()
        process.wait(timeout=30)
    assert json.loads((tmp_path / NOTE).read_text())["ready"] is True
    assert read_presence(tmp_path)["state"] == "gone"


@pytest.mark.parametrize("content", ["", "{", "[1]", "null"])
def test_a_damaged_note_is_no_worker(tmp_path: Path, content: str) -> None:
    (tmp_path / NOTE).write_text(content)
    assert read_presence(tmp_path)["state"] == "gone"


def torch_with(gpu: str | None, *, apple: bool = False) -> Any:
    about = SimpleNamespace(name=gpu, total_memory=80 * 2**30)
    cuda = SimpleNamespace(is_available=lambda: gpu is not None, get_device_properties=lambda index: about)
    backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: apple))
    return SimpleNamespace(__version__="2.12.1+cpu", cuda=cuda, backends=backends)


@pytest.mark.parametrize(
    ("torch", "wanted", "text"),
    [
        (torch_with("H100"), "auto", "cuda: H100, 80 GiB"),
        (torch_with("H100"), "cpu", "cpu, 16 GiB as asked (H100 is there)"),
        (torch_with(None), "auto", "cpu, 16 GiB"),
        (torch_with(None), "cuda", "cuda was asked for, but torch finds none"),
        (torch_with(None), "mps", "mps was asked for, but torch finds none"),
        (torch_with(None, apple=True), "auto", "mps: Apple's GPU, 16 GiB"),
        (torch_with(None, apple=True), "cpu", "cpu, 16 GiB as asked (Apple's GPU is there)"),
        (None, "auto", "not known yet (auto is asked for)"),
    ],
)
def test_a_device_is_told_in_words(monkeypatch: pytest.MonkeyPatch, torch: Any, wanted: str, text: str) -> None:
    monkeypatch.setattr("app.presence.physical_memory", lambda: 16 * 2**30)
    facts = device_facts(wanted, torch)
    assert status.device_text(facts, wanted) == text
    assert facts["torch"] == ("2.12.1+cpu" if torch else None)


def test_disk_use_is_told_by_kind(tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "ab").mkdir(parents=True)
    sizes = {"artifacts/ab/x.webp": 10, "artifacts/ab/y.png": 5, "artifacts/ab/z.safetensors": 7, "serve.lock": 2}
    sizes |= {"lab.sqlite": 100, "lab.sqlite-journal": 1, "lab.sqlite.0001.20261123.backup": 50}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    used = status.disk_use(tmp_path)
    kinds = {one["kind"]: (one["bytes"], one["files"]) for one in used["kinds"]}
    link = (tmp_path / "gone").lstat().st_size
    assert kinds == {"pictures": (15, 2), "tensors": (7, 1), "database": (151, 3), "other": (2 + link, 2)}
    assert used["bytes"] == 175 + link and 0 < used["free"] <= used["total"]


def test_what_cannot_be_used_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.setattr(models, "usable", lambda name: (name != "shapes-sd3", "" if name != "shapes-sd3" else "burnt"))
    facts = status.collect(Settings(tmp_path), database)
    broken = [one for one in facts["models"] if not one["usable"]]
    assert [(one["name"], one["why_not"]) for one in broken] == [("shapes-sd3", "burnt")]
    assert not facts["ready"]
    text = status.as_text(facts, "cpu")
    assert "shapes-sd3: not usable: burnt" in text and "ready      no: see above" in text
    json.dumps(facts, allow_nan=False)


def test_the_database_is_told_with_its_schema(tmp_path: Path, database: Database) -> None:
    told = status.collect(Settings(tmp_path), database)["database"]
    assert told["healthy"] and told["schema"] == told["head"] and told["kind"].startswith("SQLite 3.")
    assert status.collect(Settings(tmp_path))["database"] == told, "the same through a look of its own"


def test_a_database_of_another_version_is_told_not_touched(tmp_path: Path) -> None:
    (tmp_path / "lab.sqlite").write_bytes(b"not a database at all" * 100)
    told = status.collect(Settings(tmp_path))["database"]
    assert not told["healthy"] and "not a database" in told["text"]


def test_a_databases_password_is_told_to_nobody(tmp_path: Path) -> None:
    facts = status.collect(Settings(tmp_path, "postgresql://lab:hunter2@127.0.0.1:1/none"))
    assert not facts["database"]["healthy"] and facts["database"]["kind"] == "PostgreSQL"
    assert "hunter2" not in json.dumps(facts)


def test_a_records_size_is_that_of_its_files_candidates_too(tmp_path: Path, database: Database) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    record_id = new_session(database)
    assert status.record_size(database, artifacts, record_id) == 0
    record_all(database, artifacts, record_id)
    stored = sum(one["bytes"] for one in status.disk_use(tmp_path)["kinds"] if one["kind"] in ("pictures", "tensors"))
    assert status.record_size(database, artifacts, record_id) == stored > 0
    with pytest.raises(NotFound):
        status.record_size(database, artifacts, "nosuchrecord")
