"""The library over HTTP and from the command line: filters, several records at once, the trash, and backups."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api, backup
from app.__main__ import main
from app.services import Lab
from app.settings import Settings
from core.config import PRESETS, ExploreConfig
from core.errors import LabError, StorageError
from storage import records, sessions
from storage.backup import copy_sqlite
from storage.engine import open_database
from storage.tables import metadata

LAB = "/lab/api"
RECORDS = metadata.tables["records"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture
def client(lab: Lab) -> TestClient:
    app = FastAPI()
    api.mount(app, lab)
    return TestClient(app)


def make(lab: Lab, prompt: str = "a photo of a star", preset: str = "smart-grpo", **values: Any) -> str:
    """A session; `values` are columns of its record."""
    with lab.database.write() as tx:
        record_id = sessions.create(tx, ExploreConfig(prompt, search=PRESETS[preset]))
        if values:
            tx.execute(sa.update(RECORDS).where(RECORDS.c.id == record_id).values(values))
    return record_id


def ids(client: TestClient, query: str) -> list[str]:
    answer = client.get(f"{LAB}/records?{query}")
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["records"]]


def post(client: TestClient, path: str, body: Any) -> tuple[int, Any]:
    answer = client.post(f"{LAB}/{path}", json=body)
    return answer.status_code, answer.json()


def test_the_address_narrows_by_reward_tag_and_day(client: TestClient, lab: Lab) -> None:
    noon = 1_795_435_200.0  # 2026-11-23 12:00 UTC
    old, new = make(lab, created_at=noon - 86_400), make(lab, created_at=noon, star=True)
    assert post(client, f"records/{old}", {"tags": [" for  the talk ", "A", "A", ""]})[1]["tags"] == [
        "A",
        "for the talk",
    ]
    assert ids(client, "tag=for+the+talk") == [old] and ids(client, "tag=for") == []
    assert ids(client, "reward=shapes-clip") == [new, old] and ids(client, "reward=pickscore") == []
    assert ids(client, "since=2026-11-23") == [new] and ids(client, "until=2026-11-22") == [old]
    assert ids(client, "until=2026-11-23") == [new, old], "the last day counts"
    assert ids(client, "since=2026-11-23T13%3A00%3A00%2B01%3A00") == [new], "noon in another zone"
    assert ids(client, "until=2026-11-23T12:00:00Z") == [old]


def test_the_first_page_tells_how_many_and_what_there_is_to_narrow_to(client: TestClient, lab: Lab) -> None:
    made = [make(lab, preset=preset) for preset in ("smart-grpo", "smart-grpo", "best-of-k")]
    first = client.get(f"{LAB}/records?preset=smart-grpo&limit=1").json()
    assert first["total"] == 2 and first["more"]
    assert first["facets"]["preset"] == {"smart-grpo": 2, "best-of-k": 1}, "of everything: another can be chosen"
    assert first["facets"]["kind"] == {"session": 3} and first["facets"]["tag"] == {}
    further = client.get(f"{LAB}/records?preset=smart-grpo&limit=1&before={made[1]}").json()
    assert "total" not in further and [row["id"] for row in further["records"]] == [made[0]]


def test_a_note_is_listed_as_it_was_written_and_as_it_is_shown(client: TestClient, lab: Lab) -> None:
    row = post(client, f"records/{make(lab)}", {"note": "**two** <b>reds</b>"})[1]
    assert row["note"] == "**two** <b>reds</b>"
    assert row["note_html"] == "<p><strong>two</strong> &lt;b&gt;reds&lt;/b&gt;</p>"
    assert client.get(f"{LAB}/records").json()["records"][0]["note_html"] == row["note_html"]


def test_several_are_changed_at_once_and_each_refusal_is_told(client: TestClient, lab: Lab) -> None:
    one, two, locked = make(lab), make(lab), make(lab, locked=True)
    every = [one, two, locked]
    assert post(client, "records", {"ids": [*every, one], "do": "star"}) == (200, {"done": every, "refused": []})
    assert ids(client, "star=1") == every[::-1]
    assert post(client, "records", {"ids": every, "do": "tag", "tags": ["talk", "x"]})[1]["done"] == every
    assert post(client, "records", {"ids": [two, locked], "do": "untag", "tags": ["talk"]})[0] == 200
    assert ids(client, "tag=talk") == [one] and ids(client, "tag=x") == every[::-1]
    told = post(client, "records", {"ids": [*every, "nobody"], "do": "trash"})[1]
    assert told["done"] == [one, two] and [row["id"] for row in told["refused"]] == [locked, "nobody"]
    assert told["refused"][0]["why"] == "this session is locked: unlock it first"
    assert post(client, "records", {"ids": [one], "do": "restore"})[1]["done"] == [one]
    assert post(client, "records", {"ids": [one, two], "do": "erase"})[1]["done"] == [two]
    assert lab.sweeper.wait(30)
    with lab.database.read() as tx:
        assert set(records.record_ids(tx)) == {one, locked} and records.erased(tx) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"ids": [], "do": "star"}, "ids: expected a list of records, got []"),
        ({"ids": "abc", "do": "star"}, "ids: expected a list of records, got 'abc'"),
        ({"ids": [1], "do": "star"}, "ids: expected a list of records"),
        ({"ids": ["a"] * 501, "do": "star"}, "ids: expected at most 500 records at once, got 501"),
        ({"ids": ["a"], "do": "rename"}, "do: expected one of star, unstar, lock"),
        ({"ids": ["a"], "do": ["star"]}, "do: expected one of"),
        ({"ids": ["a"]}, "do: expected one of"),
        ({"ids": ["a"], "do": "tag"}, "tags: expected a list of texts, got None"),
        ({"ids": ["a"], "do": "tag", "tags": [" "]}, "tags: expected at least one"),
    ],
)
def test_what_cannot_be_done_to_several_is_refused(client: TestClient, body: dict[str, Any], told: str) -> None:
    status, answer = post(client, "records", body)
    assert status == 422 and told in answer["detail"]


def test_the_trash_tells_its_size_and_is_emptied_of_what_is_not_locked(client: TestClient, lab: Lab) -> None:
    picture = lab.artifacts.put(b"x" * 1_000, "png")
    kept, gone, locked = make(lab), make(lab, picture=picture), make(lab, picture=picture)
    assert client.get(f"{LAB}/trash").json() == {"count": 0, "locked": 0, "bytes": 0, "sizes": {}}
    post(client, "records", {"ids": [gone, locked], "do": "trash"})
    post(client, f"records/{locked}", {"locked": True})
    sizes = {gone: 1_000, locked: 1_000}
    assert client.get(f"{LAB}/trash").json() == {"count": 2, "locked": 1, "bytes": 1_000, "sizes": sizes}
    status, answer = post(client, "trash/purge", {"count": 1})
    assert status == 422 and "the trash holds 2 now, not 1" in answer["detail"]
    told = post(client, "trash/purge", {"count": 2})[1]
    assert told == {"done": [gone], "refused": [{"id": locked, "why": "it is locked"}]}
    assert lab.sweeper.wait(30)
    assert ids(client, "trash=1") == [locked] and ids(client, "") == [kept]


def test_a_backup_is_the_whole_database_and_is_gone_from_the_server(
    client: TestClient, lab: Lab, tmp_path: Path
) -> None:
    record_id = make(lab, name="kept")
    answer = client.get(f"{LAB}/backup")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/vnd.sqlite3"
    assert answer.headers["content-disposition"].startswith('attachment; filename="lab-')
    (tmp_path / "copy.sqlite").write_bytes(answer.content)
    copy = open_database(tmp_path / "copy.sqlite")
    with copy.read() as tx:
        assert records.get_record(tx, record_id)["name"] == "kept"
    copy.dispose()
    assert not list(lab.settings.data_dir.glob("*backup*")), "nothing is left of it"


def test_a_backup_of_a_mistyped_folder_is_refused_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", str(tmp_path / "mine.sqlite"), "--data-dir", str(tmp_path / "mistyped")]) == 2
    assert "there is no lab in" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_backup_takes_no_name_and_says_what_it_lacks(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = ["--data-dir", str(lab.settings.data_dir)]
    assert main(["backup", str(tmp_path / "mine.sqlite"), *data]) == 0
    assert "mine.sqlite (pictures, latents and checkpoints are files beside it" in capsys.readouterr().out
    assert (tmp_path / "mine.sqlite").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "mine.sqlite").read_bytes()
    assert main(["backup", str(tmp_path / "mine.sqlite"), *data]) == 2
    assert "is there already: expected a name that is free" in capsys.readouterr().err
    assert (tmp_path / "mine.sqlite").read_bytes() == before
    (tmp_path / "folder").mkdir()
    assert main(["backup", str(tmp_path / "folder"), *data]) == 0
    assert [path.name[:4] for path in (tmp_path / "folder").iterdir()] == ["lab-"]
    assert main(["backup", str(tmp_path / "nowhere" / "x.sqlite"), *data]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert not list(tmp_path.glob(".*")) and not (tmp_path / "y.sqlite").exists()


def test_what_has_no_file_says_how_it_is_backed_up(tmp_path: Path) -> None:
    server = Settings(tmp_path, database_url="postgresql://me:secret@there/lab")
    with pytest.raises(LabError, match=r"pg_dump .*postgresql://me:\*\*\*@there/lab") as told:
        backup.back_up(server, tmp_path / "x")
    assert "secret" not in str(told.value)
    with pytest.raises(LabError, match="demonstration"):
        backup.temporary(Settings(tmp_path, demo=True))
    url = Settings(tmp_path, database_url=f"sqlite:///{tmp_path}/other.sqlite")
    open_database(tmp_path / "other.sqlite", migrate=True).dispose()
    assert backup.back_up(url, tmp_path / "copy.sqlite").is_file()


def test_what_a_killed_process_left_of_a_backup_goes_after_a_day(lab: Lab) -> None:
    old, young = (lab.settings.data_dir / f"lab-backup-{name}.sqlite" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * backup.DAY,) * 2)
    backup.temporary(lab.settings).unlink()
    assert not old.exists() and young.exists()


WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE pair SET value = ? WHERE side = 'left'", (number,))
    database.execute("UPDATE pair SET value = ? WHERE side = 'right'", (number,))
    database.execute("COMMIT")
    if number == 3:
        print("writing", flush=True)
"""


def test_a_copy_made_while_another_process_writes_is_consistent(tmp_path: Path) -> None:
    """Each commit writes both rows: a copy with a half of one would show it. In the end the writer has to wait."""
    source = tmp_path / "busy.sqlite"
    with closing(sqlite3.connect(source)) as made:
        made.execute("CREATE TABLE pair (side TEXT, value INTEGER, weight BLOB)")
        for side in ("left", "right"):
            made.execute("INSERT INTO pair VALUES (?, 0, zeroblob(20000000))", (side,))
        made.commit()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(source)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        copy_sqlite(source, tmp_path / "copy.sqlite", patience=0.2)
    finally:
        writer.kill()
        writer.wait()
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        (left,), (right,) = copy.execute("SELECT value FROM pair ORDER BY side").fetchall()
        assert left == right > 0
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1_000)
    with pytest.raises(StorageError, match="could not be copied: file is not a database"):
        copy_sqlite(tmp_path / "text", tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
