"""Settings in and out over HTTP: what the form and the buttons around a session ask a real lab."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.environment import environment
from app.reuse import config_of_picture, place_of_picture
from app.server import create_app
from app.services import Lab
from app.settings import Settings
from app.ui import form
from core.config import ExploreConfig, from_dict, to_dict
from storage import sessions
from storage.replays import keep_origin
from tests.integration.test_worker import start, worker
from tests.unit.test_form import NASTY


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path_factory.mktemp("lab") / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def record(lab: Lab) -> str:
    """A finished session."""
    record_id = start(lab, arms=["ode"])
    worker(lab).run_one()
    return record_id


@pytest.fixture(scope="module")
def client(lab: Lab, record: str) -> Iterator[TestClient]:
    with TestClient(create_app(lab), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def view_of(lab: Lab, record: str) -> dict[str, Any]:
    view = lab.session_view(record)
    assert view is not None
    return view


def test_an_estimate_says_what_and_how_long(lab: Lab, client: TestClient, record: str) -> None:
    config = to_dict(lab.config_of(record))
    told = client.post("/lab/api/estimate", json=config).json()
    cost = view_of(lab, record)["cost"]
    assert told["nfe"] > 0
    assert told["seconds"] == pytest.approx(told["nfe"] * cost["seconds"] / cost["nfe"])
    assert client.post("/lab/api/estimate", json=config | {"model": "flux.1-dev"}).json()["seconds"] is None
    refused = client.post("/lab/api/estimate", json=config | {"num_steps": 1})
    assert refused.status_code == 422 and "num_steps: expected a whole number" in refused.json()["detail"]


def test_the_session_that_came_with_the_lab_says_nothing_about_this_machine(tmp_path: Path) -> None:
    fresh = Lab(Settings(tmp_path / "data"))
    try:
        assert fresh.default_record() is not None, "there is one"
        assert fresh.measured_rate("shapes-sd3") is None
    finally:
        fresh.close()


def test_what_ran_on_another_machine_says_nothing_about_this_one(lab: Lab, record: str) -> None:
    assert lab.measured_rate("fake") is not None
    with lab.database.write() as tx:
        keep_origin(tx, record, environment("cpu", 1) | {"cores": 4096})
    assert lab.measured_rate("fake") is None
    with lab.database.write() as tx:
        keep_origin(tx, record, environment("cpu", 1))
    assert lab.measured_rate("fake") is not None


def test_the_form_as_it_stands_has_an_estimate(client: TestClient) -> None:
    told = client.post("/lab/api/form/estimate", json=form.defaults()).json()
    assert (told["nfe"], told["search_nfe"], told["problems"]) == (720, 220, [])
    wrong = client.post("/lab/api/form/estimate", json=form.defaults() | {"seed": -1}).json()
    assert [(one["field"], one["advanced"]) for one in wrong["problems"]] == [("seed", True)]
    absent = client.post("/lab/api/form/estimate", json=form.defaults() | {"model": "sd9"}).json()
    assert [one["field"] for one in absent["problems"]] == ["model"] and absent["nfe"] == 720
    for body in ({}, form.defaults() | {"wings": 2}, {"prompt": "x"}):
        refused = client.post("/lab/api/form/estimate", json=body)
        assert refused.status_code == 422 and "each field of the form" in refused.json()["detail"]


def test_a_config_becomes_a_filling(lab: Lab, client: TestClient, record: str) -> None:
    config = to_dict(lab.config_of(record)) | {"model": "shapes-sd3"}
    filling = client.post("/lab/api/form", json={"config": config}).json()
    assert from_dict(form.to_config(filling["values"])) == from_dict(config)
    assert filling["notes"] == [] and set(filling["info"]) == {"preset", "model", "reward"}
    elsewhere = config | {"model": "sd9", "rewards": {"beauty": 1.0, "charm": 0.0}}
    filling = client.post("/lab/api/form", json={"config": elsewhere}).json()
    assert filling["values"]["model"] == "shapes-sd3" and filling["values"]["watched"] == []
    assert len(filling["notes"]) == 3 and "'sd9' is not known here" in filling["notes"][0]
    for body in ({}, {"config": None}, {"config": [1]}, {"config": {"prompt": "x", "wings": 2}}):
        assert client.post("/lab/api/form", json=body).status_code == 422


@pytest.mark.parametrize(
    "value", NASTY, ids=lambda value: f"{type(value).__name__} {value!r:.12}".encode("ascii", "replace")
)
def test_any_value_in_any_field_gets_an_answer_in_words(client: TestClient, value: Any) -> None:
    for name in form.NAMES:
        body = json.dumps(form.defaults() | {name: value})
        answer = client.post("/lab/api/form/estimate", content=body)
        assert answer.status_code in (200, 413, 422), (name, answer.status_code, answer.text[:200])
        told = answer.json()
        assert "nfe" in told or isinstance(told.get("problem", told.get("detail")), str), told
        assert len(answer.text) < 1000


def test_pictures_are_downloaded_with_their_settings_and_read_again(lab: Lab, client: TestClient, record: str) -> None:
    view = view_of(lab, record)
    row = view["iterations"][0]
    places = [
        (row["images"][1], {"step": row["step"], "iteration": row["iteration"], "candidate": 1}),
        (view["steps"][2]["image"], {"step": 2}),
        (view["arms"][0]["image"], {"arm": "search"}),
    ]
    for image, place in places:
        answer = client.get(f"/lab/api/sessions/{record}/pictures/{image}.png", params=place)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{record}-')
        assert config_of_picture(answer.content) == lab.config_of(record)
        assert place_of_picture(answer.content) == {"session": record, **place}
        read = client.post("/lab/api/settings-of-picture", content=answer.content)
        assert from_dict(read.json()["config"]) == lab.config_of(record)
        assert read.json()["place"] == {"session": record, **place}


def test_a_download_is_named_as_people_count(lab: Lab, client: TestClient, record: str) -> None:
    row = view_of(lab, record)["iterations"][0]
    place = {"step": row["step"], "iteration": row["iteration"], "candidate": 2}
    answer = client.get(f"/lab/api/sessions/{record}/pictures/{row['images'][2]}.png", params=place)
    named = f"{record}-step-{row['step'] + 1}-iteration-{row['iteration'] + 1}-candidate-3.png"
    assert answer.headers["content-disposition"] == f'attachment; filename="{named}"'


def test_only_pictures_of_that_session_are_given(lab: Lab, client: TestClient, record: str) -> None:
    view = view_of(lab, record)
    image = view["arms"][0]["image"]
    with lab.database.write() as tx:
        other = sessions.create(tx, ExploreConfig("a photo of a blue star"))
        latents = sessions.stored_state(tx, record).committed[0]
    for wrong in (
        f"{other}/pictures/{image}.png",
        f"nosuch/pictures/{image}.png",
        f"{record}/pictures/{latents}.png",
        f"{record}/pictures/{'0' * 64}.webp.png",
        f"{record}/pictures/{image}.png?step=0",
        f"{record}/pictures/x.png",
        f"{record}/pictures/..%2F..%2Flab.sqlite.png",
    ):
        assert client.get(f"/lab/api/sessions/{wrong}").status_code == 404, wrong
    for hint in ("wings=1", "step=x", "step=1e3", "step=\u0663", "arm=" + "x" * 50, "candidate=99999999"):
        answer = client.get(f"/lab/api/sessions/{record}/pictures/{image}.png?{hint}")
        assert answer.status_code == 422 and "expected a place such as" in answer.json()["detail"], hint


def test_what_is_no_picture_of_ours_is_told(client: TestClient) -> None:
    for content, status in ((b"", 422), (b"GIF89a", 422), (b"\x89PNG\r\n\x1a\n" + b"\0" * 6_000_000, 413)):
        answer = client.post("/lab/api/settings-of-picture", content=content)
        assert answer.status_code == status and isinstance(answer.json()["detail"], str)


def test_a_session_as_a_command(client: TestClient, record: str) -> None:
    told = client.get(f"/lab/api/sessions/{record}/as-command").json()
    assert told["command"].startswith("python -m app search ") and "--arms ode" in told["command"]
    assert "arms=('ode',)" in told["python"]
    assert client.get("/lab/api/sessions/nosuch/as-command").status_code == 404
