"""The charts' door over a real database: what it answers, how little it reads, and Plotly's own script."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app import plotly_js
from app.server import create_app
from app.services import Lab
from app.settings import Settings


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A fresh lab: it holds the session that comes with the checkout."""
    lab = Lab(Settings(tmp_path_factory.mktemp("data")))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def client(lab: Lab) -> TestClient:
    return TestClient(create_app(lab), base_url="http://127.0.0.1")


def path(lab: Lab, query: str) -> str:
    return f"/lab/api/sessions/{lab.default_record()}/figures?{query}"


def test_a_searched_step_has_all_charts_and_another_only_the_sessions(lab: Lab, client: TestClient) -> None:
    answer = client.get(path(lab, "step=5"))
    assert answer.status_code == 200
    found = answer.json()
    assert list(found) == ["reward", "trail", "norm", "spread", "cosine", "kurtosis", "noise", "cost"]
    view = lab.session_view(lab.default_record() or "") or {}
    shown = sum(len(one["y"]) for one in found["reward"]["data"] if one["name"] in ("Candidates", "Kept"))
    assert shown == sum(row["num_candidates"] for row in view["iterations"] if row["step"] == 5)
    assert list(client.get(path(lab, "step=0")).json()) == ["trail", "noise", "cost"]


def test_a_dark_page_and_one_reward_alone(lab: Lab, client: TestClient) -> None:
    light, dark = (client.get(path(lab, f"step=5&dark={dark}")).json() for dark in (0, 1))
    assert light["trail"]["layout"]["font"] != dark["trail"]["layout"]["font"]
    watched = client.get(path(lab, "step=5&reward=shapes-verifier")).json()
    assert watched["reward"]["layout"]["yaxis"]["title"]["text"].startswith("Shapes verifier")


@pytest.mark.parametrize("step", ["x", "", "1.5", "--1", "9999999", "\u0661"])
def test_a_step_that_is_no_number_is_told_in_a_sentence(lab: Lab, client: TestClient, step: str) -> None:
    answer = client.get(path(lab, f"step={step}"))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("expected step to be a whole number, got")


def test_an_unknown_session_is_not_there(client: TestClient) -> None:
    assert client.get("/lab/api/sessions/nosuch/figures?step=1").status_code == 404


def test_only_the_steps_own_candidates_are_read(lab: Lab, client: TestClient) -> None:
    """However long a session is, its charts cost what one step costs."""
    read: list[int] = []

    def count(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "FROM candidates" in statement:
            read.append(1)
            assert "candidates.step" in statement.partition("WHERE")[2], statement

    sa.event.listen(lab.database.engine, "before_cursor_execute", count)
    try:
        assert client.get(path(lab, "step=5")).status_code == 200
    finally:
        sa.event.remove(lab.database.engine, "before_cursor_execute", count)
    assert read


def test_plotlys_script_is_served_for_ever_by_its_content(client: TestClient) -> None:
    answer = client.get(f"/{plotly_js.address()}")
    assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]
    assert "immutable" in answer.headers["cache-control"] and "max-age=31536000" in answer.headers["cache-control"]
    assert b"plotly.js" in answer.content[:200]
    assert client.get("/plotly/0000000000000000/plotly.min.js").status_code == 404
    assert client.get(f"/{Path(plotly_js.address()).parent}/datasets").status_code == 404
    assert plotly_js.address() in client.get("/").text  # how the page knows it


def test_sentences_reach_the_view(lab: Lab) -> None:
    view = lab.session_view(lab.default_record() or "") or {}
    third = next(row for row in view["iterations"] if row["iteration"] == 2)
    assert third["sentence"].startswith("Iteration 3: candidates ") and "since iteration 1." in third["sentence"]
    told = {row["step"]: row["sentence"] for row in view["steps"]}
    searched = {row["step"] for row in view["iterations"]}
    assert all(bool(told[step]) == (step in searched) for step in told)
    assert told[5].startswith("Step 6, 5 iterations: the mean reward went from ")
