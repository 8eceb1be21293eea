"""Demo mode: no route writes, nothing on the disk changes, and no process of it has torch or a worker."""

import hashlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app import demo
from app.__main__ import main
from app.api import PREFIX
from app.handing import write_bundle
from app.server import create_app
from app.services import Lab
from app.settings import ROOT
from core.errors import ReadOnly
from storage import records

PLACES = {"step": "0", "row": "0", "job_id": "1", "name": "none", "suffix": "csv"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with demo.demo_lab() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(lab: Lab) -> TestClient:
    return TestClient(create_app(lab), base_url="http://127.0.0.1", raise_server_exceptions=False)


def routes(site: TestClient) -> list[tuple[str, str]]:
    """(method, path template) of everything that is no page and none of gradio's."""
    paths = site.app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if path.startswith("/lab/")]


def digest(folder: Path) -> str:
    told = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        told.update(str(path.relative_to(folder)).encode())
        told.update(path.read_bytes() if path.is_file() else b"")
    return told.hexdigest()


def test_no_route_writes(lab: Lab, site: TestClient) -> None:
    record = lab.default_record()
    asked = [(method, path) for method, path in routes(site) if method not in demo.LOOKS]
    assert len(asked) > 20, "every route that is not a GET"
    before = digest(lab.settings.data_dir)
    for method, path in asked:
        address = re.sub(r"{(\w+)(:\w+)?}", lambda found: PLACES.get(found[1], record), path)
        answer = site.request(method, address, json={})
        if path.removeprefix(PREFIX) in demo.COMPUTES:
            assert answer.status_code != 403, path
        else:
            assert (answer.status_code, answer.json()["detail"]) == (403, demo.SENTENCE), (method, path)
    assert digest(lab.settings.data_dir) == before


def test_reading_leaves_the_disk_as_it_was(lab: Lab, site: TestClient) -> None:
    record, before = lab.default_record(), digest(lab.settings.data_dir)
    for method, path in routes(site):
        if method in demo.LOOKS:
            address = re.sub(r"{(\w+)(:\w+)?}", lambda found: PLACES.get(found[1], record), path)
            assert site.request(method, address).status_code != 500, path
    assert digest(lab.settings.data_dir) == before


def test_what_may_be_computed_is_there(site: TestClient) -> None:
    assert {path.removeprefix(PREFIX) for method, path in routes(site) if method == "POST"} >= demo.COMPUTES


def test_events_of_the_page_cannot_write_either(lab: Lab, site: TestClient) -> None:
    """Explore's buttons are no routes of ours: there the sealed database answers."""
    with pytest.raises(ReadOnly, match="demonstration"):
        lab.start_session({"prompt": "a photo of a red circle"})
    with pytest.raises(ReadOnly, match="demonstration"):
        lab.command(lab.default_record(), "cancel")
    with pytest.raises(ReadOnly), lab.database.write() as tx:
        records.erase(tx, lab.default_record())


def test_pages_are_marked_and_say_it(site: TestClient) -> None:
    for path in ("/", "/library", "/status", "/reliability", "/train", "/sweep", "/compare"):
        page = site.get(path).text
        assert page.count('<html data-demo="yes"') == 1 and "lab/js/demo.js" in page and "lab/css/demo.css" in page
    assert "demonstration" in site.get("/lab/api/status").json()["worker"]["text"]


def test_a_demo_opens_with_the_recording(lab: Lab) -> None:
    assert lab.came_with_lab(lab.default_record())
    assert lab.session_view(lab.default_record())["state"] == "succeeded"


def test_serving_a_demo_has_no_worker_and_no_torch_and_leaves_nothing(tmp_path: Path) -> None:
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "app", "serve", "--demo", "--port", "0", "--data-dir", str(data)]
    environ = {"PATH": "", "TMPDIR": str(scratch), "LAB_DATABASE_URL": f"sqlite:///{tmp_path}/other.sqlite"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"Noise Search Lab: (http://127\.0\.0\.1:\d+)/\n", line)
        assert found, line
        children = "".join(path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/children"))
        assert not children.split(), "a demo has no other process"
        assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()
        assert list(scratch.glob("lab-demo-*"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert not data.exists() and not list(tmp_path.glob("*.sqlite"))
    assert not list(scratch.glob("lab-demo-*"))


def test_exported_records_are_shown_as_well(lab: Lab, tmp_path: Path) -> None:
    taken = tmp_path / "talk.zip"
    write_bundle(lab.database, lab.artifacts, lab.checkpoints, [lab.default_record()], taken)
    with demo.demo_lab(None, [taken]) as shown:
        assert lab.default_record() in {record["id"] for record in shown.recent(200)}
        with pytest.raises(ReadOnly):
            shown.trash_record(lab.default_record())


def test_files_to_show_want_a_demonstration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--show", "talk.zip", "--port", "0"]) == 2
    assert "--show: exported files are shown by a demonstration alone" in capsys.readouterr().err
    assert main(["serve", "--demo", "--show", "nowhere.zip", "--port", "0"]) == 2
    assert "nowhere.zip" in capsys.readouterr().err
