"""The reliability page's doors over a real lab and the fake engine."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api, measure_request
from app.prompt_sets import prompt_sets
from app.services import Lab
from app.settings import Settings
from core.measure_config import MAX_ROWS, from_dict
from storage import jobs
from tests.integration import test_worker as sessions
from tests.integration.test_measuring import CONFIG, start, worker

BODY = {"prompts": ["a photo of a red circle", "a photo of a blue star"], "num_siblings": 4, "seeds": 2}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path_factory.mktemp("lab") / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def record(lab: Lab) -> str:
    """A finished measurement."""
    prompts = tuple(
        f"a photo of {many} {colour} stars" for many in ("two", "three") for colour in ("red", "blue", "green")
    )
    record_id = start(lab, prompts=prompts, num_siblings=12)
    worker(lab).run_one()
    return record_id


@pytest.fixture(scope="module")
def client(lab: Lab) -> TestClient:
    app = FastAPI()
    api.mount(app, lab)
    return TestClient(app, raise_server_exceptions=False)


def get(client: TestClient, path: str, status: int = 200) -> Any:
    answer = client.get(f"/lab/api{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


def test_asking_queues_it_in_the_batch_lane(lab: Lab, client: TestClient) -> None:
    answer = client.post(
        "/lab/api/reliability", json={**BODY, "name": "  mine ", "start_sigma": 0.6, "step_kind": "cps"}
    )
    record_id = answer.json()["id"]
    view = get(client, f"/reliability/{record_id}")
    assert (view["state"], view["name"], view["progress"], view["rows_done"]) == ("pending", "mine", 0.0, 0)
    assert view["curves"] == {} and view["sentence"] == "" and view["explore"] is None
    config = from_dict(view["config"])
    assert (config.start_sigma, config.base.step_kind, config.seeds, config.num_siblings) == (0.6, "cps", (0, 1), 4)
    assert config.base.rewards == {"shapes-clip": 1.0, "shapes-verifier": 0.0}
    shown = get(client, "/queue")["jobs"][-1]
    assert (shown["record_id"], shown["kind"], shown["progress"], shown["position"]) == (record_id, "measure", 0.0, 1)
    again = client.post("/lab/api/reliability", json=view["request"])
    assert get(client, f"/reliability/{again.json()['id']}")["config"] == view["config"], "a form can be filled with it"
    for one in (record_id, again.json()["id"]):
        assert client.post(f"/lab/api/reliability/{one}/command", json={"kind": "cancel"}).status_code == 200
        assert get(client, f"/reliability/{one}")["state"] == "cancelled"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompts": None}, "prompts"),
        ({"prompts": []}, "prompts"),
        ({"prompts": "a photo"}, "prompts"),
        ({"prompts": [1]}, "prompts"),
        ({"set": "mixed"}, "prompts"),
        ({"prompts": None, "set": "no-such"}, "set"),
        ({"prompts": None, "set": ["mixed"]}, "set"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": True}, "seeds"),
        ({"seeds": "3"}, "seeds"),
        ({"seeds": MAX_ROWS}, "seeds"),
        ({"model": "sd9"}, "model"),
        ({"reward": "beauty"}, "reward"),
        ({"reward": 3}, "reward"),
        ({"reward": "shapes-clip", "rewards": {"shapes-clip": 1}}, "reward"),
        ({"held_out": "shapes-clip"}, "held_out"),
        ({"held_out": ["beauty"]}, "held_out"),
        ({"prompts": ["a steaming cup"], "reward": "shapes-verifier"}, "reward"),
        ({"prompts": ["a steaming cup"], "held_out": ["shapes-verifier"]}, "held_out"),
        ({"estimates": ["tea"]}, "estimates"),
        ({"steps": [99]}, "steps"),
        ({"step_kind": "ode"}, "step_kind"),
        ({"start_sigma": 2}, "start_sigma"),
        ({"num_siblings": 10**9}, "num_siblings"),
        ({"name": 3}, "name"),
        ({"wings": 2}, "wings"),
        ({"\ud800": 2}, "?"),
    ],
)
@pytest.mark.parametrize("door", ["", "/estimate"])
def test_what_cannot_be_measured_is_refused_by_field(
    lab: Lab, client: TestClient, change: dict[str, Any], field: str, door: str
) -> None:
    if door and field == "name":
        return  # an estimate has none
    before = len(lab.recent(200))
    answer = client.post(f"/lab/api/reliability{door}", content=json.dumps(BODY | change))
    assert answer.status_code == 422 and field in answer.json()["problems"], answer.text
    assert answer.json()["detail"] and len(lab.recent(200)) == before


def test_a_general_prompt_is_watched_by_what_can_judge_it(client: TestClient) -> None:
    told = client.post("/lab/api/reliability/estimate", json={"set": "general", "model": "shapes-sd3"}).json()
    assert told["rows"] == len(prompt_sets()["general"].prompts) and "problems" not in told


def test_an_estimate_says_what_and_how_long(lab: Lab, client: TestClient, record: str) -> None:
    body = BODY | {"estimates": ["literal", "sde"], "steps": [0, 8]}
    told = client.post("/lab/api/reliability/estimate", json=body).json()
    assert (told["rows"], told["events"]) == (4, 8)
    assert told["nfe"] == 4 * 4 * 2 * (9 + 2 + 1 + 2) and told["decodes"] == 4 * 4 * 6
    assert told["seconds"] is None, "nothing has run here on this model"


def test_a_finished_measurement_shows_everything(client: TestClient, record: str) -> None:
    view = get(client, f"/reliability/{record}")
    assert (view["state"], view["progress"], view["rows_done"], view["seconds_left"]) == ("succeeded", 1.0, 12, None)
    assert set(view["curves"]) == {"literal", "sde", "5-step"} and view["primary"] == "sde"
    assert [row["step"] for row in view["curves"]["sde"]["own"]] == [0, 1, 2]
    assert len(view["between"]) == 3 and view["optimised"] == "shapes-clip" and view["held_out"] == ["shapes-verifier"]
    assert view["realised"] and view["hacking"] == [] and view["averaging"]
    assert client.get(f"/lab/api/reliability/{record}?after={view['seq']}").status_code == 204
    assert get(client, f"/reliability/{record}?after={view['seq'] - 1}")["id"] == record
    listed = next(row for row in get(client, "/records?kind=reliability")["records"] if row["id"] == record)
    assert listed["progress"] == 1.0 and listed["seconds"] > 0 and listed["headline"]["rho"] > 0.3
    assert listed["name"] == "a photo of two red stars and 5 more"


def test_a_row_has_all_its_siblings(lab: Lab, client: TestClient, record: str) -> None:
    row = get(client, f"/reliability/{record}/rows/11")
    assert (row["row"], row["prompt"], row["seed"]) == (11, "a photo of three green stars", 7)
    assert [step["step"] for step in row["steps"]] == [0, 1, 2]
    step = row["steps"][0]
    assert len(step["truth"]["total"]) == 12 and set(step["proxy"]) == {"literal", "sde", "5-step"}
    assert lab.artifact_path(step["guesses"]).is_file() and step["sheet"]["columns"] == 12
    for wrong in ("12", "-1", "x", "9999999999"):
        get(client, f"/reliability/{record}/rows/{wrong}", 404 if wrong == "12" else 422)


def test_points_and_figures_of_a_step(client: TestClient, record: str) -> None:
    found = get(client, f"/reliability/{record}/points?step=2&estimate=sde&proxy=shapes-clip&truth=shapes-verifier")
    assert len(found["points"]) == 144 and len(found["worst"]) == 20
    assert found["worst"][0]["surprise"] == max(one["surprise"] for one in found["points"])
    one = found["points"][13]
    row = get(client, f"/reliability/{record}/rows/{one['row']}")["steps"][2]
    assert one["proxy"] == row["proxy"]["sde"]["shapes-clip"][one["sibling"]]
    assert one["truth"] == row["truth"]["shapes-verifier"][one["sibling"]]
    made = get(client, f"/reliability/{record}/figures?step=1&estimate=literal&dark=1")
    assert list(made) == ["curve", "gain", "scatter", "realised", "distance"]
    for wrong in ("step=3", "step=-1", "step=x", "estimate=heun", "proxy=beauty"):
        get(client, f"/reliability/{record}/points?{wrong}", 422)
        get(client, f"/reliability/{record}/figures?{wrong}", 422)


def test_its_numbers_as_files(client: TestClient, record: str) -> None:
    answer = client.get(f"/lab/api/reliability/{record}/arrays.npz")
    assert answer.headers["content-disposition"].endswith(f'"reliability-{record}.npz"')
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as file:
        assert file["proxy"].shape == file["truth"].shape == (12, 12, 3)
        assert list(file["prompts"]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        first = float(file["truth.shapes-verifier"][0, 0, 0])
    answer = client.get(f"/lab/api/reliability/{record}/table.csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == 12 * 12 * 3 and float(lines[0]["truth shapes-verifier"]) == first


def test_strategies_are_compared_without_a_model(client: TestClient, record: str) -> None:
    told = client.post(f"/lab/api/reliability/{record}/simulate", json={"step": 2, "draw": 6}).json()
    names = [one["name"] for one in told["outcomes"]]
    assert names[0] == "blind" and names[-1] == "best of 6, whole way" and "best of 6, literal" in names
    by_name = {one["name"]: one["gain"] for one in told["outcomes"]}
    assert by_name["best of 6, whole way"] >= by_name["best of 6, 5-step"] >= by_name["blind"]
    for wrong in ({"draw": 1}, {"draw": 13}, {"draw": True}, {"step": 7}, {"truth": "beauty"}, {"more": 1}):
        answer = client.post(f"/lab/api/reliability/{record}/simulate", json=wrong)
        assert answer.status_code == 422, wrong


def test_explore_learns_where_a_reward_says_nothing(client: TestClient, record: str) -> None:
    asked = "model=fake&reward=shapes-clip&num_steps=4&step_kind=sde"
    told = get(client, f"/signal?{asked}")
    assert told["known"] and told["record"] == record and set(told["steps"]) <= {"0", "1", "2"}
    assert set(told["steps"].values()) <= {"signal", "none"} and told["steps"]["2"] == "signal"
    unknown = {"known": False, "record": None, "steps": {}}
    for change in (("fake", "other"), ("shapes-clip", "beauty"), ("num_steps=4", "num_steps=5"), ("sde", "cps")):
        assert get(client, f"/signal?{asked.replace(*change)}") == unknown
    get(client, "/signal?model=fake", 422)


def test_what_is_not_there_and_what_is_something_else(lab: Lab, client: TestClient) -> None:
    session = sessions.start(lab)
    empty = start(lab, seeds=(3,))
    for one in ("nothing", session):
        for path in ("", "/rows/0", "/points", "/figures", "/arrays.npz", "/table.csv"):
            get(client, f"/reliability/{one}{path}", 404)
        assert client.post(f"/lab/api/reliability/{one}/simulate", json={}).status_code == 404
        assert client.post(f"/lab/api/reliability/{one}/command", json={"kind": "pause"}).status_code == 404
    for path in ("/rows/0", "/points", "/figures", "/arrays.npz"):
        get(client, f"/reliability/{empty}{path}", 404)
    assert len(client.get(f"/lab/api/reliability/{empty}/table.csv").text.splitlines()) == 1
    assert client.post(f"/lab/api/reliability/{empty}/command", json={"kind": "elites"}).status_code == 422
    get(client, f"/reliability/{empty}?after=x", 422)
    for path in ("figures", "steps/0", "as-command"):
        get(client, f"/sessions/{empty}/{path}", 404)
    with lab.database.write() as tx:
        for record_id in (session, empty):
            jobs.send_command(tx, jobs.latest_job(tx, record_id) or 0, "cancel")


def test_partial_rows_are_drawn_as_they_come(lab: Lab, client: TestClient) -> None:
    record_id = start(lab)
    seen: list[int] = []

    def look(name: str) -> None:
        if name in ("siblings 1 0", "siblings 2 1"):
            view = get(client, f"/reliability/{record_id}")
            seen.append(view["rows_done"])
            assert view["state"] == "running" and 0 < view["progress"] < 1
            assert view["curves"]["sde"]["own"][0]["rows"] == view["rows_done"]

    worker(lab, look).run_one()
    assert seen == [1, 2] and get(client, f"/reliability/{record_id}")["rows_done"] == len(CONFIG.pairs)


def test_every_named_set_is_sound() -> None:
    found = prompt_sets()
    assert list(found)[0] == "mixed" and list(found)[-2:] == ["geneval-mixed", "general"] and len(found) == 9
    assert [one.embedded for one in found.values()] == [True] * 7 + [False] * 2
    assert "A steaming cup of coffee" in found["general"].prompts
    assert all(one.help and "#" not in "".join(one.prompts) for one in found.values())
    for one in found.values():
        if one.embedded:
            assert measure_request.read_request({"set": one.name}).prompts == one.prompts
