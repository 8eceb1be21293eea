"""Downloads through the hub's real client from a hub of this machine: what comes, what does not and why."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import downloading
from app.download_command import run_download
from app.download_jobs import Downloads
from app.downloading import download
from app.downloads import DownloadError, Offer, find_offer, known_offers
from app.settings import ROOT
from core.errors import LabError
from core.models.registry import MODELS, usable
from tests import tiny
from tests.fake_hub import FakeHub, fake_hub

MEDIUM = "stabilityai/stable-diffusion-3.5-medium"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "pipeline"
    tiny.sd3_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def hub(pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    monkeypatch.setattr(downloading, "EVERY_SECONDS", 0.02)
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        # As the real ones do, it holds the weights twice more: whole for other programs, and in half precision.
        hub.add(MEDIUM, pipeline, **{"sd3.5_medium.safetensors": b"x", "vae/model.fp16.safetensors": b"x"})
        yield hub


def offer(name: str) -> Offer:
    found = find_offer(name)
    assert found is not None
    return found


def refusal(offered: Offer, **more: Any) -> DownloadError:
    with pytest.raises(DownloadError) as told:
        download(offered, accepted=True, **more)
    return told.value


def test_offers_name_what_is_fetched() -> None:
    medium, pickscore = offer("sd3.5-medium"), offer("pickscore")
    assert (medium.name, medium.gated, medium.licence) == (MEDIUM, True, "Stability AI Community License")
    assert medium.megabytes == pytest.approx(16_268, rel=0.01) and medium.page.endswith(MEDIUM)
    assert len(pickscore.sources) == 2 and not pickscore.gated and pickscore.megabytes > 3_000
    assert find_offer("shapes-sd3") is None and find_offer("jpeg-compressibility") is None
    assert "shapes-sd3" not in known_offers() and {MEDIUM, "imagereward"} <= set(known_offers())
    with pytest.raises(LabError, match="expected a model or a reward, such as"):
        find_offer("nosuch")


def test_a_model_is_fetched_without_what_others_need(hub: FakeHub) -> None:
    told: list[tuple[int, int]] = []
    assert not usable(MEDIUM)[0]
    download(offer(MEDIUM), accepted=True, tell=lambda done, total: told.append((done, total)))
    assert usable(MEDIUM) == (True, "")
    fetched = {line.rpartition("/")[2] for line in hub.asked if line.startswith("GET") and "/resolve/" in line}
    assert "model_index.json" in fetched and not any("sd3.5_medium" in one or "fp16" in one for one in fetched)
    total = told[0][1]
    assert total > 10_000 and told[0] == (0, total) and told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_was_begun_goes_on(hub: FakeHub) -> None:
    weights = hub.repositories[MEDIUM].pop("vae/diffusion_pytorch_model.safetensors")
    told = refusal(offer(MEDIUM))
    assert told.state == "failed" and "lack vae/diffusion_pytorch_model.safetensors" in str(told)
    hub.repositories[MEDIUM]["vae/diffusion_pytorch_model.safetensors"] = weights
    before, totals, hub.commit = len(hub.asked), [], "b" * 40
    download(offer(MEDIUM), accepted=True, tell=lambda done, total: totals.append(total))
    assert totals[0] == len(weights)
    assert sum(line.startswith("GET") and "/resolve/" in line for line in hub.asked[before:]) == 1


def test_a_licence_has_to_be_accepted_first(hub: FakeHub) -> None:
    with pytest.raises(DownloadError, match="read it and accept it at .*--accept-licence") as told:
        download(offer(MEDIUM), accepted=False)
    assert told.value.state == "licence" and not hub.asked


@pytest.mark.parametrize(
    ("token", "said"), [(None, "There is no token on this machine"), ("hf_wrong", "Your token is")]
)
def test_a_gated_model_says_how_to_get_in(
    hub: FakeHub, token: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(MEDIUM)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    told = refusal(offer(MEDIUM))
    assert told.state == "gated"
    assert said in str(told) and "settings/tokens" in str(told) and "hf auth login" in str(told) and MEDIUM in str(told)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    download(offer(MEDIUM), accepted=True)
    assert usable(MEDIUM)[0]


def test_absent_offline_broken_and_full_are_told_apart(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(offer("sd3.5-large"))
    assert told.state == "absent" and "shows no repository stabilityai/stable-diffusion-3.5-large" in str(told)
    hub.broken = True
    told = refusal(offer(MEDIUM))
    assert told.state == "failed" and "answered with 503" in str(told)
    hub.broken = False
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1_000}))
    told = refusal(offer(MEDIUM))
    assert told.state == "full" and "HF_HOME" in str(told)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    told = refusal(offer(MEDIUM))
    assert told.state == "offline" and f"`hf download {MEDIUM} --local-dir FOLDER`" in str(told)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    told = refusal(offer(MEDIUM))
    assert told.state == "offline" and "HF_HUB_OFFLINE" in str(told)


def test_the_command_says_a_line_an_event(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_download("sd3.5-medium", accepted=True, as_json=True, supervised=False) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["event"] == "progress" and lines[-1] == {
        "event": "done",
        "text": "Stable Diffusion 3.5 Medium is here",
    }
    assert run_download("sd3.5-medium", accepted=False, as_json=False, supervised=False) == 0  # it is here already
    assert capsys.readouterr().out == "Stable Diffusion 3.5 Medium is here\n"
    with pytest.raises(DownloadError):
        run_download("sd3.5-large", accepted=True, as_json=True, supervised=False)
    assert json.loads(capsys.readouterr().out)["state"] == "absent"


def test_the_command_line_tells_it_in_a_sentence(hub: FakeHub, tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "app", "download", "sd3.5-medium", "--data-dir", str(tmp_path)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr.startswith("download: Stable Diffusion 3.5 Medium comes under") and "Traceback" not in done.stderr
    )


def until(true: Callable[[], Any]) -> None:
    for _ in range(1_000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def test_a_page_follows_a_download_and_stops_it(hub: FakeHub) -> None:
    hub.delay = 0.05
    downloads = Downloads()
    with pytest.raises(DownloadError, match="then say so on this page"):
        downloads.start(MEDIUM, accepted=False)
    with pytest.raises(LabError, match="nothing is fetched"):
        downloads.start("shapes-sd3", accepted=True)
    assert downloads.told() == []
    downloads.start("sd3.5-medium", accepted=True)
    downloads.start(MEDIUM, accepted=True)  # it runs already
    until(lambda: downloads.told()[0]["total"])
    downloads.stop(MEDIUM)
    assert downloads.told()[0]["state"] == "stopped"
    until(lambda: not any(thread.name == "download" for thread in threading.enumerate()))
    hub.delay = 0.0
    downloads.start(MEDIUM, accepted=True)
    until(lambda: downloads.told()[0]["state"] != "running")
    (told,) = downloads.told()
    assert (told["state"], told["text"]) == ("done", f"{MODELS[MEDIUM].title} is here") and told["done"] == told[
        "total"
    ]
    assert usable(MEDIUM)[0]


def test_a_download_that_dies_is_told() -> None:
    downloads = Downloads(lambda name: [sys.executable, "-c", "print('words'); raise SystemExit(3)"])
    downloads.start(MEDIUM, accepted=True)
    until(lambda: downloads.told()[0]["state"] != "running")
    assert downloads.told()[0]["text"] == "it ended with code 3"
