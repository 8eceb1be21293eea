"""Page Compare's doors over a real lab: sessions of the fake model, recorded fine-tunes and measurements."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api
from storage import records
from tests.e2e.fake_train import FakeRuns
from tests.e2e.kept import Kept, open_kept
from tests.integration.test_worker import start, worker

HOSTILE = '</script><img src=x onerror="alert(1)">'
PROMPTS = [f"a photo of a red circle, number {number}" for number in range(5)]


@dataclass
class Made:
    """A lab with records of every kind, by what they are."""

    kept: Kept
    client: TestClient
    ids: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.client.get(f"/lab/api/compare{path}")
        assert answer.status_code == status, answer.text
        return answer

    def compare(self, *names: str) -> Any:
        return self.get(f"?ids={self.query(*names)}").json()

    def query(self, *names: str) -> str:
        return ",".join(self.ids.get(name, name) for name in names)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    kept = open_kept(tmp_path_factory.mktemp("lab") / "data")
    app = FastAPI()
    api.mount(app, kept.lab)
    made = Made(kept, TestClient(app, raise_server_exceptions=False))
    small = {
        "num_steps": 4,
        "arms": ["ode"],
        "window_min": 0.1,
        "window_max": 1.0,
        "search": {"num_candidates": 3, "num_iterations": 2},
    }
    other = small | {"search": small["search"] | {"reading": "sde"}}  # type: ignore[operator]
    runner = worker(kept.lab)
    for number, prompt in enumerate(PROMPTS):
        for name, settings in (("one", small), ("other", other)):
            made.ids[f"{name}{number}"] = start(kept.lab, **settings, prompt=prompt)
            assert runner.run_one()
    made.ids["long"] = start(kept.lab, **small | {"num_steps": 6}, prompt=HOSTILE)
    assert runner.run_one()
    runs = FakeRuns(kept)
    few = {"epochs": 4, "eval_every": 2, "sample_every": 2}
    made.ids |= {"run": runs.finished(name="first", **few), "rerun": runs.finished(seed=1, **few)}
    made.ids["better"] = runs.finished(name="second", learning_rate=0.01, **few)
    made.ids |= {
        "measured": kept.measurement(PROMPTS, num_siblings=6),
        "again": kept.measurement(PROMPTS, num_siblings=8),
    }
    made.ids["waits"] = kept.waiting("a photo of a blue star")
    yield made
    kept.lab.close()


def verdicts(found: Any, kind: str = "session") -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = found["sections"][kind]["verdicts"]
    return shown


def test_two_ways_are_paired_over_everything_that_ran_with_their_settings(made: Made) -> None:
    found = made.compare("one0", "other0")
    [told] = verdicts(found)
    assert told["about"] == "climbed"
    assert verdicts(made.compare("one0", "long"))[0]["about"].startswith("climbed, for ")  # at another cost
    assert (told["pairs"], told["prompts"], told["over"]) == (5, 5, "prompts")
    assert told["low"] <= told["mean"] <= told["high"]
    one, other = (
        [made.kept.lab.session_view(made.ids[f"{name}{number}"])["arms"][0]["rewards"] for number in range(5)]  # type: ignore[index]
        for name in ("one", "other")
    )
    gains = [a["shapes-verifier"] - b["shapes-verifier"] for a, b in zip(one, other, strict=True)]
    assert told["mean"] == pytest.approx(sum(gains) / 5)
    assert found["sentences"] == [] and not found["live"]


def test_one_sample_has_no_verdict_and_nothing_shared_says_so(made: Made) -> None:
    [told] = verdicts(made.compare("one0", "long"))
    assert (told["pairs"], told["verdict"]) == (0, "nothing shared")
    with made.kept.lab.database.write() as tx:
        for number in range(1, 5):
            records.trash(tx, made.ids[f"other{number}"])
    try:
        [told] = verdicts(made.compare("one0", "other0"))
        assert (told["pairs"], told["verdict"]) == (1, "one sample, no verdict")
    finally:
        for number in range(1, 5):
            made.kept.lab.restore_record(made.ids[f"other{number}"])


def test_records_of_one_family_are_not_told_apart(made: Made) -> None:
    section = made.compare("one0", "one1")["sections"]["session"]
    assert section["verdicts"] == [] and "no other way to be better by" in section["beside"][0]
    assert section["families"] == [["A", "B"]]


def test_what_cannot_be_compared_is_told_in_words(made: Made) -> None:
    made.kept.lab.trash_record(made.ids["one4"])
    found = made.compare("one4", "nothere", "run", "waits", "../etc")
    made.kept.lab.restore_record(made.ids["one4"])
    heads = found["records"]
    assert "in the trash" in heads[0]["notice"] and not heads[0]["problem"]
    assert heads[1]["problem"].startswith("There is no such record") and heads[4]["problem"]
    assert heads[3]["notice"].startswith("It waits") and found["live"]
    assert any("A and D are searches; C is a fine-tune" in text for text in found["sentences"])
    assert found["sections"]["session"]["letters"] == ["A", "D"]


def test_a_seventh_record_is_refused_and_none_is_an_empty_page(made: Made) -> None:
    assert "at most 6 records" in made.get("?ids=a,b,c,d,e,f,g", 422).json()["detail"]
    assert made.get("?ids=").json()["records"] == []
    assert len(made.get("?ids=a,a,a,a,a,a,a").json()["records"]) == 1


def test_a_page_that_has_the_newest_is_told_nothing(made: Made) -> None:
    stamp = made.compare("one0", "run")["stamp"]
    query = made.query("one0", "run")
    assert made.get(f"?ids={query}&stamp={stamp}", 204).content == b""
    made.kept.lab.change_record(made.ids["one0"], {"star": True})
    assert made.get(f"?ids={query}&stamp={stamp}").json()["stamp"] != stamp


def test_different_schedules_meet_by_noise_level_and_labels_tell_records_apart(made: Made) -> None:
    found = made.compare("one0", "other0", "long")
    section = found["sections"]["session"]
    assert not section["same_schedule"] and len(section["moments"]) == 6
    assert len({one["label"] for one in found["records"]}) == 3


def test_fine_tunes_are_paired_by_seed_and_by_the_prompts_of_their_sheets(made: Made) -> None:
    section = made.compare("run", "better")["sections"]["train"]
    by = {(one["measure"], one["about"].split()[0]): one for one in section["verdicts"]}
    assert by["heldout", "after"]["pairs"] == 1 and by["heldout", "after"]["verdict"] == "one sample, no verdict"
    assert by["samples", "on"]["pairs"] == 8
    assert any("nothing of another seed" in text for text in section["beside"])
    assert section["families"] == [["A"], ["B"]] and section["sides"]["A"]["prompts"]


def test_measurements_are_paired_by_row(made: Made) -> None:
    section = made.compare("measured", "again")["sections"]["reliability"]
    assert {one["measure"] for one in section["verdicts"]} == {"literal", "sde", "3-step"}
    assert all(one["pairs"] == 5 and one["over"] == "prompts" for one in section["verdicts"])


@pytest.mark.parametrize(
    ("names", "asked", "charts"),
    [
        (
            ("one0", "long"),
            "kind=session&at=SEARCHED&x=sigma",
            {"trail", "arms", "rewards", "norm", "spread", "cosine", "used"},
        ),
        (("run", "better"), "kind=train&x=nfe", {"heldout", "verifier", "reward"}),
        (("measured", "again"), "kind=reliability&estimate=sde", {"spearman_median", "expected_gain"}),
        (("run", "waits"), "kind=train", {"heldout", "verifier", "reward"}),
        (("run", "waits"), "kind=reliability&estimate=sde", set()),
    ],
)
def test_charts_come_for_each_kind(made: Made, names: tuple[str, ...], asked: str, charts: set[str]) -> None:
    """`SEARCHED` is a moment at which all of them searched."""
    section = made.compare(*names)["sections"].get("session", {"moments": [], "sides": {}})
    rounds = {letter: {one["step"] for one in side["rounds"]} for letter, side in section["sides"].items()}
    whole = [all(step in rounds[letter] for letter, step in one["steps"].items()) for one in section["moments"]]
    at = whole.index(True) if whole else 0
    found = made.get(f"/figures?ids={made.query(*names)}&{asked.replace('SEARCHED', str(at))}").json()
    assert set(found) == charts


def test_wrong_questions_are_refused(made: Made) -> None:
    query = made.query("one0")
    assert made.get(f"/figures?ids={query}&kind=cake", 422).json()["detail"].startswith("kind: expected one of")
    assert made.get(f"/figures?ids={query}&at=x", 422).json()["detail"].startswith("expected step to be")
    assert made.get(f"/figures?ids={query}&at=999").json()["trail"]
    assert "rewards" in made.get(f"/figures?ids={query}").json()  # where no moment is named: one that was searched


def test_the_table_has_a_line_a_number(made: Made) -> None:
    answer = made.get(f"/table.csv?ids={made.query('one0', 'other0', 'run', 'measured')}")
    assert answer.headers["content-disposition"] == 'attachment; filename="compared.csv"'
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {one["part"] for one in lines} == {"setting", "step", "arm", "epoch", "timestep", "difference"}
    view = made.kept.lab.session_view(made.ids["one0"])
    assert view
    [mine] = [one for one in lines if (one["letter"], one["place"], one["measure"]) == ("A", "ode", "shapes-verifier")]
    assert float(mine["value"]) == view["arms"][1]["rewards"]["shapes-verifier"]


def test_the_report_needs_nothing_else_and_runs_nothing_of_a_prompt(made: Made) -> None:
    text = made.get(f"/report.html?ids={made.query('one0', 'long', 'run', 'measured')}").text
    assert HOSTILE not in text and "<img src=x" not in text
    assert "&lt;/script&gt;" in text
    body = text[text.index("<body>") :]
    assert not re.findall(r'(?:src|href)="(?!data:)', body)
    assert body.count("Plotly.newPlot") >= 6 and "data:image/webp;base64," in body


def test_the_tray_is_told_names(made: Made) -> None:
    found = made.get(f"/heads?ids={made.query('one0', 'other0')},nothere").json()["records"]
    assert found[0]["title"] == PROMPTS[0] and found[0]["picture"] and found[2]["kind"] is None
    assert [one["apart"] for one in found[:2]] == ["reading literal", "reading sde"], "one prompt, no names"


def test_a_file_is_called_after_all_and_there_is_none_of_nothing(made: Made) -> None:
    text = made.get(f"/report.html?ids={made.query('one0', 'other0', 'one1')}").text
    heading = f"<h1>Compared: {PROMPTS[0]} (A: reading literal, B: reading sde), {PROMPTS[1]} (C)</h1>"
    assert heading in text
    for file in ("table.csv", "report.html"):
        told = made.get(f"/{file}?ids=nosuch", 404).json()["detail"]
        assert told.startswith("there is nothing to compare: nosuch: There is no such record")
        assert "expected ids=" in made.get(f"/{file}", 404).json()["detail"]
