"""The JSON interface over a real lab: what it answers, what it refuses, and in which words. No torch, no gradio."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import api, bodies
from app import queue as use_cases
from app.services import Lab
from app.settings import Settings
from storage import jobs, sessions
from tests.integration.test_worker import start, worker

LAB = "/lab/api"


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


@pytest.fixture
def finished(lab: Lab) -> str:
    record_id = start(lab, num_steps=3, arms=[])
    assert worker(lab).run_one()
    return record_id


def ask(client: TestClient, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.request(method, f"{LAB}/{path}", **({} if body is None else {"json": body}))
    return answer.status_code, answer.json()


def test_a_record_is_listed_with_its_progress(client: TestClient, lab: Lab, finished: str) -> None:
    waiting = start(lab)
    status, answer = ask(client, "GET", "records")
    assert status == 200 and answer["more"] is False
    new, old = answer["records"]
    assert (new["id"], new["state"], new["progress"], new["seconds"]) == (waiting, "pending", 0.0, None)
    assert (old["id"], old["progress"]) == (finished, 1.0) and old["seconds"] >= 0
    assert old["reward"] == old["headline"]["search"] and isinstance(old["created"], str)


def test_lists_are_paged_narrowed_and_sorted_by_the_address(client: TestClient, lab: Lab) -> None:
    ids = [start(lab, prompt=f"a photo of a star, {index}") for index in range(3)]
    lab.change_record(ids[0], {"star": True, "name": "Zebra"})
    first = ask(client, "GET", "records?limit=2")[1]
    assert [row["id"] for row in first["records"]] == ids[:0:-1] and first["more"]
    rest = ask(client, "GET", f"records?limit=2&before={ids[1]}")[1]
    assert [row["id"] for row in rest["records"]] == [ids[0]] and not rest["more"]
    assert [row["id"] for row in ask(client, "GET", "records?star=1&text=zebra")[1]["records"]] == [ids[0]]
    assert ask(client, "GET", "records?sort=name")[1]["records"][2]["id"] == ids[0]
    assert ask(client, "GET", "records?text=&state=succeeded&trash=0")[1]["records"] == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("limit=0", "limit: expected a whole number"),
        ("limit=x", "limit: expected a whole number"),
        ("limit=99999999999999999999", "limit: expected a whole number"),
        ("star=yes", "star: expected 1 or 0"),
        ("state=asleep", "state: expected one of"),
        ("sort=size", "expected to be sorted by"),
        ("color=red", "expected some of"),
        ("self=1", "expected some of"),
        ("since=yesterday", "since: expected a day such as 2026-11-23"),
        ("until=2026-11-31", "until: expected a day"),
        ("until=9999-12-31", "until: expected a day"),
        ("since=2026-11-23T10:00:00", "a moment with its offset"),
    ],
)
def test_a_list_that_cannot_be_is_refused(client: TestClient, query: str, told: str) -> None:
    status, answer = ask(client, "GET", f"records?{query}")
    assert status == 422 and told in answer["detail"]


def test_what_no_database_holds_is_found_nowhere(client: TestClient, finished: str) -> None:
    for query in ("text=%00", "preset=%00", "model=%ED%A0%80", "kind=%27--", f"text={'x' * 5000}"):
        assert ask(client, "GET", f"records?{query}")[1]["records"] == []
    assert ask(client, "GET", "records?before=%00")[0] == 404


def test_a_record_is_changed_by_a_person(client: TestClient, finished: str) -> None:
    status, row = ask(client, "POST", f"records/{finished}", {"name": " my\n first ", "star": True, "note": "a\r\nb "})
    assert status == 200 and (row["name"], row["star"], row["note"]) == ("my first", True, "a\nb")
    assert ask(client, "POST", f"records/{finished}", {"name": "  "})[1]["name"] is None
    assert ask(client, "POST", f"records/{finished}", {"name": None, "locked": True})[1]["locked"] is True


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "got nothing"),
        ({"name": 5}, "name: expected text, got 5"),
        ({"name": "x" * 201}, "name: expected at most 200 characters, got 201"),
        ({"note": None}, "note: expected text, got None"),
        ({"note": "x" * 10_001}, "note: expected at most 10,000 characters, got 10,001"),
        ({"star": 1}, "star: expected true or false, got 1"),
        ({"locked": "yes"}, "locked: expected true or false"),
        ({"tags": "talk"}, "tags: expected a list of texts, got 'talk'"),
        ({"tags": [1]}, "tags: expected text, got 1"),
        ({"tags": ["x" * 41]}, "tags: expected tags of at most 40 characters without a comma"),
        ({"tags": ["a,b"]}, "without a comma, got 'a,b'"),
        ({"tags": [str(i) for i in range(21)]}, "tags: expected at most 20 tags, got 21"),
        ({"prompt": "another"}, "prompt: expected some of name, star, note, locked, tags"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_field(
    client: TestClient, finished: str, body: dict[str, Any], told: str
) -> None:
    status, answer = ask(client, "POST", f"records/{finished}", body)
    assert status == 422 and told in answer["detail"]


def test_nul_and_half_surrogates_are_replaced(client: TestClient, finished: str) -> None:
    answer = client.post(f"{LAB}/records/{finished}", content=b'{"name": "a\\u0000b", "note": "x\\ud83dy"}')
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["note"]) == ("a\ufffdb", "x\ufffdy")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"[]", 422),
        (b'"name"', 422),
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b'{"star": NaN}', 422),
        (b"[" * 60_000, 422),
        (b'{"name": "\\ud800', 422),
        (b" " * (bodies.BODY_BYTES + 1), 413),
    ],
)
def test_a_body_is_a_json_object_of_limited_size(
    client: TestClient, finished: str, content: bytes, status: int
) -> None:
    answer = client.post(f"{LAB}/records/{finished}", content=content)
    assert answer.status_code == status and "expected" in answer.json()["detail"]


def test_a_body_without_a_length_is_limited_too(client: TestClient, finished: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * 1024

    assert client.post(f"{LAB}/records/{finished}", content=endless()).status_code == 413


def test_a_record_goes_into_the_trash_and_comes_back(client: TestClient, lab: Lab, finished: str) -> None:
    status, row = ask(client, "POST", f"records/{finished}/trash")
    assert status == 200 and row["deleted"]
    assert ask(client, "GET", "records")[1]["records"] == []
    assert [one["id"] for one in ask(client, "GET", "records?trash=1")[1]["records"]] == [finished]
    assert lab.recent() == [] and lab.default_record() is None
    assert ask(client, "POST", f"records/{finished}/restore")[1]["deleted"] is False
    assert lab.default_record() == finished


def test_only_what_lies_in_the_trash_is_deleted_and_then_it_is_gone(
    client: TestClient, lab: Lab, finished: str
) -> None:
    status, answer = ask(client, "DELETE", f"records/{finished}")
    assert status == 422 and "move it there first" in answer["detail"]
    ask(client, "POST", f"records/{finished}/trash")
    assert ask(client, "DELETE", f"records/{finished}")[0] == 200
    for method, path in (("DELETE", ""), ("POST", "/restore")):
        assert ask(client, method, f"records/{finished}{path}")[0] == 404
    assert lab.sweeper.wait(60)
    assert ask(client, "GET", "records?trash=1")[1]["records"] == []


def test_a_running_session_is_not_thrown_away(client: TestClient, lab: Lab) -> None:
    record_id = start(lab)
    status, answer = ask(client, "POST", f"records/{record_id}/trash")
    assert status == 422 and "stop it first" in answer["detail"]


@pytest.mark.parametrize("unknown", ["nosuch", "..%2F..%2Fetc", "%00", "x" * 300, "%F0%9F%92%A5"])
def test_what_is_not_there_is_told(client: TestClient, unknown: str) -> None:
    for method, path, body in (
        ("POST", f"records/{unknown}", {"star": True}),
        ("POST", f"records/{unknown}/trash", None),
        ("POST", f"records/{unknown}/restore", None),
        ("DELETE", f"records/{unknown}", None),
        ("POST", f"queue/{unknown}/cancel", None),
        ("POST", f"queue/{unknown}/retry", None),
        ("POST", f"queue/{unknown}/move", {"to": 1}),
        ("GET", f"sessions/{unknown}/steps/1", None),
    ):
        status, answer = ask(client, method, path, body)
        assert status == 404, (method, path, answer)


def test_a_step_is_given_with_all_its_candidates(client: TestClient, lab: Lab) -> None:
    record_id = start(lab, arms=[])
    worker(lab).run_one()
    status, answer = ask(client, "GET", f"sessions/{record_id}/steps/4")
    view = lab.session_view(record_id)
    assert view and status == 200 and answer["step"] == 4
    assert answer["iterations"] == json.loads(json.dumps([row for row in view["iterations"] if row["step"] == 4]))
    assert answer["iterations"][0]["sentence"].startswith("Iteration 1:")
    for step in ("0", "99", "-1", "x", "1.5", "１", "9" * 50):
        assert ask(client, "GET", f"sessions/{record_id}/steps/{step}")[0] == 404


def test_the_queue_shows_what_runs_waits_and_has_ended(client: TestClient, lab: Lab, finished: str) -> None:
    first, second = start(lab), start(lab, prompt="a photo of a blue star")
    lab.change_record(second, {"name": "mine"})
    status, answer = ask(client, "GET", "queue")
    assert status == 200
    assert [(job["record_id"], job["state"], job["position"]) for job in answer["jobs"]] == [
        (first, "pending", 1),
        (second, "pending", 2),
    ]
    waiting = answer["jobs"][1]
    assert set(waiting) == {
        *("job_id", "record_id", "kind", "name", "prompt", "picture", "state", "position"),
        *("progress", "seconds_left", "mode", "created", "error", "ended"),
    }
    assert (waiting["name"], waiting["progress"], waiting["seconds_left"]) == ("mine", 0.0, None)
    assert [(job["record_id"], job["progress"]) for job in answer["finished"]] == [(finished, 1.0)]


def test_a_waiting_job_is_moved_cancelled_and_tried_again(client: TestClient, lab: Lab) -> None:
    records = [start(lab) for _ in range(3)]
    ids = [job["job_id"] for job in ask(client, "GET", "queue")[1]["jobs"]]
    status, moved = ask(client, "POST", f"queue/{ids[2]}/move", {"to": 1})
    assert status == 200 and moved["position"] == 1
    assert [job["job_id"] for job in ask(client, "GET", "queue")[1]["jobs"]] == [ids[2], ids[0], ids[1]]
    status, cancelled = ask(client, "POST", f"queue/{ids[2]}/cancel")
    assert status == 200 and cancelled["state"] == "cancelled"
    assert ask(client, "POST", f"queue/{ids[2]}/cancel")[0] == 422
    status, again = ask(client, "POST", f"queue/{ids[2]}/retry")
    assert status == 200 and (again["record_id"], again["state"], again["position"]) == (records[2], "pending", 3)
    assert again["job_id"] != ids[2]


@pytest.mark.parametrize("to", [0, -1, 1.5, "1", True, None, 2**40])
def test_a_place_is_a_whole_number(client: TestClient, lab: Lab, to: Any) -> None:
    start(lab)
    (job,) = ask(client, "GET", "queue")[1]["jobs"]
    status, answer = ask(client, "POST", f"queue/{job['job_id']}/move", {"to": to})
    assert status == 422 and "expected a place in the queue" in answer["detail"]


def test_a_cancelled_session_goes_on_where_it_was(client: TestClient, lab: Lab) -> None:
    record_id = start(lab, arms=[])
    other = start(lab, arms=[])
    worker(lab).run_one()
    whole = lab.session_view(record_id)
    with lab.database.write() as tx:
        claim = jobs.claim(tx, lane="interactive", owner="w9")
        assert claim and claim.record_id == other
        jobs.send_command(tx, claim.job_id, "cancel")
    assert claim and worker(lab, owner="w10").run_one() is False, "its worker holds it still"
    with lab.database.write() as tx:
        jobs.finish(tx, claim, "cancelled")
    assert ask(client, "POST", f"queue/{claim.job_id}/retry")[0] == 200
    assert worker(lab).run_one()
    view = lab.session_view(other)
    assert whole and view and view["state"] == "succeeded" and len(view["iterations"]) == len(whole["iterations"])


def test_time_left_is_told_from_the_present_attempts_pace(lab: Lab) -> None:
    record_id = start(lab, arms=[])
    with lab.database.write() as tx:
        claim = jobs.claim(tx, lane="interactive", owner="w1", now=time.time() - 100)
    assert claim
    began = use_cases.listed(lab.database)["jobs"][0]
    assert (began["state"], began["progress"], began["seconds_left"]) == ("running", 0.0, None), "nothing is done yet"
    planned = lab.cost_estimate({"prompt": "-", "arms": [], "window_min": 0.7, "model": "fake"})["nfe"]
    with lab.database.write() as tx:
        _spend(tx, record_id, planned // 4)
        jobs.append_event(tx, claim, "iteration", 4, 0)
    now = time.time()
    job = use_cases.listed(lab.database, now)["jobs"][0]
    assert job["progress"] == pytest.approx(0.25, abs=0.02)
    assert job["seconds_left"] == pytest.approx(300, rel=0.1)
    later = use_cases.listed(lab.database, now + 60)["jobs"][0]
    assert later["seconds_left"] == pytest.approx(job["seconds_left"] - 60, abs=1), (
        "waiting for a result is no progress"
    )
    with lab.database.write() as tx:
        jobs.release(tx, claim)
        jobs.claim(tx, lane="interactive", owner="w2", now=now)
    assert use_cases.listed(lab.database)["jobs"][0]["seconds_left"] is None, "a new attempt has its own pace"


def _spend(tx: Any, record_id: str, nfe: int) -> None:
    from core.events import Cost, IterationScored

    event = IterationScored(
        4, 0, None, {"shapes-verifier": (0.5,)}, (0.5,), (0,), (1.0,), (3.0,), 0.0, (1.0,) * 5, 0.0, 1.0, 1, Cost(nfe)
    )
    sessions.save_iteration(tx, record_id, event, ["picture"])


def test_a_roll_outs_progress_is_counted_in_candidates(lab: Lab, finished: str) -> None:
    with lab.database.write() as tx:
        payload = {"step": 0, "iteration": 0, "candidates": [0, 1, 2, 3]}
        jobs.enqueue(tx, kind="finish", record_id=finished, payload=payload)
    (job,) = use_cases.listed(lab.database)["jobs"]
    assert (job["kind"], job["progress"]) == ("finish", 0.0)
