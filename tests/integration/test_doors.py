"""The server's doors over a real lab: the password on every path, what is shut, and what gradio may not touch."""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.password import FREE_TRIES
from app.server import create_app
from app.services import Lab
from app.settings import ROOT, Settings
from app.ui import form

PASSWORD = "correct horse"
KEY = {"Authorization": "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()}
BEFORE = {"Authorization": "Basic " + base64.b64encode(b"me:wrong").decode()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path_factory.mktemp("lab") / "data"))
    yield opened
    opened.close()


def visit(lab: Lab, **how: Any) -> TestClient:
    return TestClient(create_app(lab, **how), base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def site(lab: Lab) -> Iterator[TestClient]:
    with visit(lab) as client:
        yield client


def some_paths(lab: Lab) -> list[tuple[str, str]]:
    record = lab.default_record()
    view = lab.session_view(record or "") or {}
    return [
        ("GET", "/"),
        ("GET", "/config"),
        ("GET", "/library"),
        ("GET", "/status"),
        ("GET", "/lab/js/session.js"),
        ("GET", "/lab/css/lab.css"),
        ("GET", "/assets/none.js"),
        ("GET", f"/artifacts/{view['arms'][0]['image']}"),
        ("GET", "/lab/api/records"),
        ("GET", f"/lab/api/sessions/{record}/as-command"),
        ("POST", "/lab/api/estimate"),
        ("DELETE", f"/lab/api/records/{record}"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/run/run"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/queue/data?session_hash=x"),
        ("GET", "/gradio_api/heartbeat/x"),
        ("GET", "/nothing/here"),
    ]


def test_a_password_stands_before_everything_but_the_health(lab: Lab) -> None:
    with visit(lab, host="0.0.0.0", password=PASSWORD) as client:
        for method, path in some_paths(lab):
            answer = client.request(method, path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("/gradio_api/ws", "/queue/join"):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
                pass
        assert client.get("/health").text == "ok"
        assert client.get("/health/../lab/api/records").status_code == 401
        for path in ("/", "/config", "/lab/js/session.js", "/lab/api/records", "/gradio_api/info"):
            assert client.get(path, headers=KEY).status_code == 200, path


def test_guessing_is_slowed_down(lab: Lab) -> None:
    with visit(lab, password=PASSWORD) as client:
        answers = [client.get("/health", headers=BEFORE).status_code for _ in range(FREE_TRIES + 3)]
        assert set(answers) == {200}, "the health asks nobody"
        answers = [client.get("/", headers=BEFORE).status_code for _ in range(FREE_TRIES + 3)]
        assert answers == [401] * FREE_TRIES + [429] * 3


SHUT = [
    ("POST", "/gradio_api/upload"),
    ("GET", "/gradio_api/upload_progress?upload_id=x"),
    ("GET", "/gradio_api/file=/etc/passwd"),
    ("GET", "/gradio_api/file=app/server.py"),
    ("GET", "/gradio_api/file/etc/passwd"),
    ("GET", "/gradio_api/proxy=https://example.com/"),
    ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/stream/x"),
    ("GET", "/gradio_api/deep_link"),
    ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/run-history/buckets"),
    ("GET", "/monitoring"),
    ("GET", "/dev/reload"),
    ("POST", "/login"),
    ("GET", "/file=/etc/passwd"),
    ("GET", "//file=/etc/passwd"),
    ("GET", "/gradio_api//file=/etc/passwd"),
    ("GET", "/gradio_api/%66ile=/etc/passwd"),
    ("GET", "/%67radio_api/file=/etc/passwd"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
]


@pytest.mark.parametrize(("method", "path"), SHUT)
def test_gradios_other_tools_are_shut(site: TestClient, method: str, path: str) -> None:
    answer = site.request(method, path)
    assert answer.status_code in (404, 405), answer.text[:100]
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/etc/hostname", "README.md", "https://example.com/x.png", "http://127.0.0.1:9/x"])
def test_a_field_is_no_way_to_a_file(
    site: TestClient, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio copies files and fetches addresses that a value names, where it is allowed to."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    claimed = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
    for name in form.NAMES:
        values = [claimed if field == name else form.defaults()[field] for field in form.NAMES]
        answer = site.post("/gradio_api/run/run", json={"data": values})
        assert answer.status_code == 500 and "open" not in answer.text, name
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []


def test_what_is_sent_has_a_size(site: TestClient) -> None:
    answer = site.post("/gradio_api/run/run", content=b"x" * 2_000_001)
    assert answer.status_code == 413
    chunked = site.post("/gradio_api/run/run", content=iter([b"{}"]))
    assert chunked.status_code == 413, "no length is no length"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
    ],
)
def test_another_sites_page_reads_nothing(site: TestClient, headers: dict[str, str]) -> None:
    for path in ("/lab/api/records", "/config", "/"):
        answer = site.get(path, headers=headers)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers, path


def test_a_link_from_elsewhere_may_be_followed(site: TestClient) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert site.get("/", headers=followed).status_code == 200
    assert site.post("/lab/api/estimate", headers=followed, json={}).status_code == 403


def test_a_pages_own_scripts_have_a_nonce_of_their_own(site: TestClient) -> None:
    for path in ("/", "/library", "/status"):
        nonces = set()
        for _ in range(2):
            answer = site.get(path, headers={"Accept-Encoding": "br, gzip"})
            policy = answer.headers["content-security-policy"]
            scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
            assert "'unsafe-inline'" not in scripts
            nonce = scripts.partition("'nonce-")[2].partition("'")[0]
            assert len(nonce) >= 20
            assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"') > 0
            assert answer.headers["cache-control"] == "no-store"
            nonces.add(nonce)
        assert len(nonces) == 2, path


def serve(*flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "serve", *flags]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", **environ}
    )


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = serve("--port", port, "--data-dir", str(tmp_path))
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert (
        refused.stderr
        == f"serve: cannot listen at 127.0.0.1:{port}: Address already in use; choose another with --port\n"
    )


def test_no_public_address_without_a_password(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("1234567\n")
    for flags, environ in (
        ((), {}),
        ((), {"LAB_PASSWORD": "short"}),
        (("--password-file", str(short)), {"LAB_PASSWORD": PASSWORD}),
        (("--password-file", str(tmp_path / "none")), {}),
    ):
        refused = serve("--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path), *flags, **environ)
        assert refused.returncode == 2 and "password" in refused.stderr.lower() and "Traceback" not in refused.stderr
        assert "1234567" not in refused.stderr


def test_there_is_no_flag_for_a_password_in_clear(tmp_path: Path) -> None:
    refused = serve("--password", PASSWORD, "--port", "0", "--data-dir", str(tmp_path))
    assert refused.returncode == 2
    assert json.dumps(PASSWORD) not in refused.stdout
