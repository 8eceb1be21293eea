"""Files of prompts of one's own: read, checked with the line that is wrong, by the page's door and the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api import mount
from app.prompt_sets import prompt_sets, prompts_in, read_prompts
from app.services import Lab
from app.settings import Settings
from core.errors import ConfigError
from core.geneval.prompts import generate, write
from core.prompts import GENEVAL, prompt_set


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog\n\n# a note\n  a cat \na dog\r\n", ("a dog", "a cat")),
        ('{"prompt": "a dog"}\n\n{"prompt": "a # cat", "tag": "x"}\n', ("a dog", "a # cat")),
        ('\n {"prompt": "{a dog}"}', ("{a dog}",)),
        ("a dog {and a cat}", ("a dog {and a cat}",)),
    ],
)
def test_lines_and_json_lines(text: str, expected: tuple[str, ...]) -> None:
    assert read_prompts(text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "got no prompt"),
        ("# only a note", "got no prompt"),
        ("a dog\n" + "x" * 2_001, "line 2: expected at most 2000 characters, got 2001"),
        ("a dog\na \0 cat", "line 2: expected plain text"),
        ('{"prompt": "a dog"}\nnot json', "line 2: expected an object such as .*, got 'not json'"),
        ('{"prompt": 5}', "line 1: expected an object"),
        ('{"prompt": ""}', "line 1: expected a sentence"),
        ('{"text": "a dog"}', "line 1: expected an object"),
        ("{" * 5_000, "line 1: expected an object"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        read_prompts(text)
    assert refused.value.problems.keys() == {"prompts"}


def test_genevals_files_are_read_either_way(tmp_path: Path) -> None:
    scenes = generate(30)
    write(tmp_path, "some", scenes)
    expected = tuple(one.text() for one in scenes)
    assert prompts_in(tmp_path / "some.txt") == prompts_in(tmp_path / "some.jsonl") == expected
    for name, content in (("none", None), ("bytes", b"\xff\xfe\x00"), ("empty", b"\n")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError) as refused:
            prompts_in(tmp_path / name)
        assert refused.value.problems.keys() == {"prompts-file"}


def test_geneval_as_sets() -> None:
    learned, judged = (prompt_set(GENEVAL, split) for split in ("train", "eval"))
    assert (len(learned), len(judged)) == (2_700, 300) and not set(learned) & set(judged)
    shipped = prompt_sets()["geneval-mixed"]
    assert shipped.prompts == tuple(one.text() for one in generate(60)) and not shipped.embedded


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    lab = Lab(Settings(tmp_path / "data", recorded=None))
    app = FastAPI()
    mount(app, lab)
    yield TestClient(app)
    lab.close()


def test_the_page_sends_a_file_and_gets_its_prompts(client: TestClient) -> None:
    asked = client.post("/lab/api/prompts", json="\ufeffa dog\na cat\n")
    assert asked.status_code == 200 and asked.json() == {"prompts": ["a dog", "a cat"]}
    wrong = client.post("/lab/api/prompts", json='{"prompt": "a dog"}\n{}')
    assert wrong.status_code == 422 and wrong.json()["problems"]["prompts"].startswith("line 2: expected an object")
    for body in (b"", b"{", b"[1]", b'{"text": "a dog"}'):
        refused = client.post("/lab/api/prompts", content=body, headers={"Content-Type": "application/json"})
        assert refused.status_code == 422 and "as a string in JSON" in refused.json()["detail"]
    large = client.post("/lab/api/prompts", content=json.dumps("a dog\n" * 400_000))
    assert large.status_code == 413
