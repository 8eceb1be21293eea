"""Handing on from the command line and over HTTP."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api, api_handing
from app.__main__ import main
from tests.integration.handed import files, filled, open_lab, rows


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("here") / "data"
    return SimpleNamespace(folder=folder, **filled(folder))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A lab without records."""
    with closing(open_lab(tmp_path / "data")) as lab:
        yield client_of(lab)


def client_of(lab: object) -> TestClient:
    app = FastAPI()
    api.mount(app, lab)
    return TestClient(app, raise_server_exceptions=False)


def test_the_command_line_hands_on_and_takes_in(
    here: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, there = tmp_path / "two.zip", tmp_path / "there"
    asked = ["bundle", here.session[:8], here.reliability, "--to", str(target), "--data-dir", str(here.folder)]
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith(f"{target}: 2 records, 0.")
    assert main(["import", str(target), "--data-dir", str(there)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["taken", here.session, "session"],
        ["taken", here.reliability, "measurement"],
    ]
    assert lines[0].isprintable()  # a name that turns the direction of writing is shown, not obeyed
    assert main(["import", str(target), "--data-dir", str(there)]) == 0
    assert capsys.readouterr().out.count("it was here already") == 2
    with closing(open_lab(there)) as lab:
        assert {row["id"] for row in rows(lab)["records"]} == {here.session, here.reliability}


def test_the_command_line_says_what_is_wrong(
    here: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-dir", str(here.folder)]
    for asked, message in (
        (["bundle", "zzzz", *data], "bundle: there is no record 'zzzz'"),
        (["bundle", here.session, "--to", str(tmp_path), *data], "is there already"),
        (["import", str(tmp_path / "no.zip"), *data], "import: there is no file"),
        (["import", __file__, *data], "nothing was taken from test_handing_doors.py: it is not a whole zip"),
    ):
        assert main(asked) == 2
        assert message in capsys.readouterr().err


def test_a_page_exports_and_imports(here: SimpleNamespace, client: TestClient, tmp_path: Path) -> None:
    with closing(open_lab(here.folder)) as lab:
        answer = client_of(lab).get(f"/lab/api/export?ids={here.session},{here.train}")
        assert client_of(lab).get("/lab/api/export?ids=nobody").status_code == 404
        assert client_of(lab).get("/lab/api/export").json() == {"detail": "expected 1 to 200 records, got 0"}
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="lab-{here.session}-and-1-more.zip"'
    told = client.post("/lab/api/import", content=answer.content).json()
    assert [one["id"] for one in told["taken"]][:2] == [here.session, here.train] and told["known"] == []
    again = client.post("/lab/api/import", content=answer.content).json()
    assert again["taken"] == [] and len(again["known"]) == len(told["taken"])
    assert client.get(f"/lab/api/train/{here.train}").json()["state"] == "succeeded"


def test_an_upload_that_is_no_bundle_is_told_and_leaves_nothing(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(tmp_path)
    answer = client.post("/lab/api/import", content=b"hello")
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "nothing was taken from the file: it is not a whole zip: its end is missing",
    )  # fmt: skip
    assert client.post("/lab/api/import").json()["detail"] == "expected a zip of records, got nothing"
    monkeypatch.setattr(api_handing, "MOST", 3)
    assert client.post("/lab/api/import", content=b"hello").status_code == 413
    assert files(tmp_path) == before
