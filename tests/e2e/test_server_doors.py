"""What the server answers, to whom, and with which headers."""

import subprocess
import sys

import httpx
import pytest

from app.security import host_allowed
from app.settings import ROOT
from tests.e2e.fake_lab import FakeLab


def test_pictures_are_served_for_ever_and_nothing_else_is(site: str, lab: FakeLab) -> None:
    view = lab.session_view(lab.recorded or "")
    assert view
    answer = httpx.get(f"{site}artifacts/{view['steps'][0]['image']}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    tensor = lab.artifacts.put(b"not a picture", "safetensors")
    missing = "0" * 64 + ".webp"
    for name in (tensor, missing, "x.webp", "..%2F..%2Fetc%2Fpasswd", "..%2Flab.png", "%00.png"):
        assert httpx.get(f"{site}artifacts/{name}").status_code == 404, name


def test_every_answer_is_guarded(site: str) -> None:
    for path in ("", "health", "lab/js/session.js", "artifacts/none.png"):
        headers = httpx.get(site + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "127.0.0.1.nip.io", "["]
)
def test_a_foreign_host_is_refused(site: str, host: str) -> None:
    assert httpx.get(site, headers={"Host": host}).status_code in (400, 421)


def test_another_sites_page_cannot_change_anything(site: str) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert httpx.post(f"{site}gradio_api/upload", headers=headers, files={"files": b"x"}).status_code == 403


@pytest.mark.parametrize(
    ("header", "bound", "allowed"),
    [
        ("localhost:7860", "127.0.0.1", True),
        ("[::1]:7860", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("192.168.1.5:7860", "127.0.0.1", False),
        ("192.168.1.5:7860", "192.168.1.5", True),
        ("lab.example", "lab.example", True),
        ("192.168.1.5", "0.0.0.0", True),
        ("[fe80::1]", "::", True),
        ("evil.example", "0.0.0.0", False),
        ("user@localhost", "127.0.0.1", True),
        ("", "0.0.0.0", False),
    ],
)
def test_which_names_are_ours(header: str, bound: str, allowed: bool) -> None:
    assert host_allowed(header, bound) == allowed


def test_the_web_process_has_no_torch() -> None:
    code = "import app.server, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
