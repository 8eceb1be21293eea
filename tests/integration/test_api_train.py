"""The train page's doors over a real lab and the fake trainer."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api
from app.services import Lab
from app.settings import Settings
from core.train_config import from_dict
from storage import jobs, runs
from tests.integration.test_training import CONFIG, start, weights, worker

BODY = {"preset": "smart-grpo", "epochs": 3, "search": {"num_candidates": 4}, "name": " mine "}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path_factory.mktemp("lab") / "data", recorded=None))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def record(lab: Lab) -> str:
    """A finished run."""
    record_id = start(lab)
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


def post(client: TestClient, path: str, body: Any = None, status: int = 200) -> Any:
    answer = client.post(f"/lab/api{path}", json=body or {})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_asking_queues_it_in_the_batch_lane_and_cancel_ends_it(lab: Lab, client: TestClient) -> None:
    record_id = post(client, "/train", BODY)["id"]
    view = get(client, f"/train/{record_id}")
    assert (view["name"], view["state"], view["job"]["queue_position"]) == ("mine", "pending", 1)
    assert (view["epochs"], view["last_epoch"], view["progress"], view["trained_model"]) == ([], None, 0.0, None)
    config = from_dict(view["config"])
    assert (config.preset, config.noise_source, config.search.num_candidates) == ("smart-grpo", "search", 4)
    queued = next(one for one in get(client, "/queue")["jobs"] if one["record_id"] == record_id)
    assert (queued["kind"], queued["progress"]) == ("train", 0.0)
    post(client, f"/train/{record_id}/command", {"kind": "cancel"})
    assert get(client, f"/train/{record_id}")["state"] == "cancelled"
    listed = get(client, "/records?kind=train")["records"]
    assert listed[0]["id"] == record_id and listed[0]["progress"] == 0.0


def test_what_is_wrong_is_told_by_field(client: TestClient, record: str) -> None:
    for body, field in (
        ({"preset": "none"}, "preset"),
        ({"group_size": 1}, "group_size"),
        ({"model": "shapes-sd3+aaaaaaaaaaaa"}, "model"),
        ({"search": {"num_candidates": 0}}, "search.num_candidates"),
        ({"prompts": ["a cat"], "rewards": {"shapes-verifier": 1}}, "rewards"),
        ({"name": 7}, "name"),
        ({"nonsense": 1}, "nonsense"),
    ):
        for door in ("/train", "/train/estimate") if field != "name" else ("/train",):
            assert field in post(client, door, body, 422)["problems"], body
    assert "expected one of pause" in post(client, f"/train/{record}/command", {"kind": "elites"}, 422)["detail"]
    for path in ("", "/figures", "/metrics.csv", "/config.json", "/command", "/lora.safetensors"):
        get(client, f"/train/aaaaaaaaaaaa{path}", 404)
    assert "after: expected" in get(client, f"/train/{record}?after=x", 422)["detail"]


def test_a_cursor_tells_only_what_is_newer(client: TestClient, record: str) -> None:
    view = get(client, f"/train/{record}")
    assert not view["partial"] and len(view["epochs"]) == 7
    assert client.get(f"/lab/api/train/{record}?after={view['seq']}").status_code == 204
    part = get(client, f"/train/{record}?after={view['epochs'][-1]['epoch']}")
    assert part["partial"] and part["seq"] == view["seq"] and part["epochs"][-1] == view["epochs"][-1]


def test_every_chart_that_has_something_to_show(client: TestClient, record: str) -> None:
    found = get(client, f"/train/{record}/figures?dark=1")
    assert {"reward", "heldout", "verifier", "clip", "equal", "seconds"} <= found.keys() and "kl" not in found
    over = get(client, f"/train/{record}/figures?x=nfe")["heldout"]["data"][0]
    assert over["x"] == [0, 72, 144] and over["customdata"] == [[0], [3], [6]]
    assert "expected one of epoch, nfe" in get(client, f"/train/{record}/figures?x=y", 422)["detail"]


def test_what_it_made_can_be_carried_away(lab: Lab, client: TestClient, record: str) -> None:
    raw = client.get(f"/lab/api/train/{record}/lora.safetensors?raw=1")
    assert raw.content == weights(lab, record)
    assert raw.headers["content-disposition"] == f'attachment; filename="lora-{record}-epoch-6-raw.safetensors"'
    assert client.get(f"/lab/api/train/{record}/lora.safetensors?epoch=2").status_code == 200
    assert "no such checkpoint" in get(client, f"/train/{record}/lora.safetensors?epoch=5", 422)["detail"]
    assert "whole number" in get(client, f"/train/{record}/lora.safetensors?epoch=x", 422)["detail"]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/lab/api/train/{record}/metrics.csv").text)))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(7)]
    assert float(rows[3]["clip_fraction step 2"]) == 0.1 and rows[3]["clip_fraction step 1"] == ""
    assert rows[6]["nfe since start"] == "144" and rows[0]["reward_mean"] == "" != rows[6]["reward_mean"]
    config = client.get(f"/lab/api/train/{record}/config.json")
    assert from_dict(config.json()) == CONFIG and "attachment" in config.headers["content-disposition"]
    line = client.get(f"/lab/api/train/{record}/command").text
    assert line.startswith("python -m app train --preset flow-grpo --model fake") and "--name" not in line


def test_a_run_without_a_checkpoint_has_nothing_to_carry_away(lab: Lab, client: TestClient) -> None:
    record_id = start(lab)
    assert "no checkpoint yet" in get(client, f"/train/{record_id}/lora.safetensors", 404)["detail"]
    assert "no checkpoint yet" in post(client, f"/train/{record_id}/evaluate", status=422)["detail"]
    assert get(client, f"/train/{record_id}/figures") == {}
    post(client, f"/train/{record_id}/command", {"kind": "cancel"})


def test_a_trial_is_asked_for(lab: Lab, client: TestClient, record: str) -> None:
    for body, field in (({"prompts": 0}, "prompts"), ({"search": "no-search"}, "search"), ({"epoch": 1}, "epoch")):
        assert field in post(client, f"/train/{record}/evaluate", body, 422)["problems"]
    assert post(client, f"/train/{record}/evaluate", {"prompts": 1}) == {"number": 1}
    assert post(client, f"/train/{record}/evaluate", {"prompts": 1}) == {"number": 2}, "it waits behind the first"
    worker(lab).run_one()
    trial, waiting = get(client, f"/train/{record}")["evaluations"]
    assert waiting["state"] == "pending" and worker(lab).run_one()
    assert get(client, f"/train/{record}")["evaluations"][1]["state"] == "succeeded"
    assert trial["state"] == "succeeded" and json.dumps(trial["result"], allow_nan=False)
    assert {one["arm"] for one in trial["result"]["arms"]} == {"ode", "no_search"}


def test_an_estimate_learns_from_earlier_runs_of_the_model(lab: Lab, client: TestClient) -> None:
    body = {"preset": "flow-grpo", "epochs": 10, "threads": 1}
    before = post(client, "/train/estimate", body)
    assert before["seconds"] is None and before["memory_mb"] is None
    assert before["nfe"] == 10 * before["per_epoch"]["nfe"] > 0
    with lab.database.write() as tx:
        record_id = runs.create(tx, from_dict(body | {"epochs": 3}))
        jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")
    worker(lab).run_one()
    after = post(client, "/train/estimate", body)
    assert after["per_epoch"]["seconds"] == pytest.approx(0.03) and after["memory_mb"] > 0
    assert after["seconds"] > 0.3 and after["nfe"] == before["nfe"]
    searched = post(client, "/train/estimate", body | {"preset": "smart-grpo"})
    assert searched["seconds"] is None, "no search was timed yet"
    assert searched["nfe"] > before["nfe"] and searched["per_epoch"]["search"] > 0
    limited = post(client, "/train/estimate", body | {"max_seconds": 1, "epochs": 100_000})
    assert limited["seconds"] == 1
