"""A plug-in in the lab as it is started: known to the pages, run by the supervised worker and by the command line."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from app.services import Lab
from app.settings import ROOT, Settings
from core.config import from_dict
from storage import jobs, sessions
from tests.integration.test_serve import finished

EXAMPLE = str(ROOT / "tests" / "plugins" / "example.py")
PLAIN = {
    "prompt": "something red",
    "model": "flat",
    "num_steps": 4,
    "rewards": {"redness": 1.0},
    "arms": ["ode"],
    "threads": 1,
    "search": {"preset": "slow-search", "algorithm": "keep-spread", "num_candidates": 4, "elite_fraction": 0.5},
}


def asked(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def test_the_supervised_worker_loads_what_the_pages_offer(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(tmp_path), "--plugin", EXAMPLE]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.fullmatch(r"Noise Search Lab: (http://127\.0\.0\.1:\d+)/\n", process.stdout.readline())[1]
            told: dict[str, Any] = json.load(urllib.request.urlopen(f"{address}/lab/api/status", timeout=30))
            offered = {kind: {one["name"]: one["usable"] for one in told[kind]} for kind in ("rewards", "models")}
            assert offered["rewards"]["redness"] and offered["models"]["flat"]
            lab = Lab(Settings(tmp_path, recorded=None))
            with lab.database.write() as tx:
                record_id = sessions.create(tx, from_dict(PLAIN))
                jobs.enqueue(tx, kind="explore", record_id=record_id)
            view = finished(lab, record_id)
            lab.close()
        finally:
            process.terminate()
            process.wait(60)
    assert view["error"] is None and view["state"] == "succeeded"
    assert set(view["arms"][0]["rewards"]) == {"redness"} and len(view["iterations"]) > 0


def test_a_search_and_the_doctor_know_it(tmp_path: Path) -> None:
    flags = ("--plugin", EXAMPLE, "--data-dir", str(tmp_path))
    short = ("--steps", "3", "--num-iterations", "2", "--no-arms")
    ran = asked(
        "search", "blue", "--model", "flat", "--reward", "redness=-1", "--preset", "slow-search", *short, *flags
    )
    assert ran.returncode == 0 and ran.stdout.splitlines()[0].split()[:3] == ["arm", "total", "redness"], ran.stderr
    assert "rewards" in (told := asked("doctor", *flags)).stdout and "redness: usable" in told.stdout


def test_check_plugin_says_what_it_found(tmp_path: Path) -> None:
    assert asked("check-plugin", EXAMPLE).stdout.splitlines()[-1] == "model flat: sound"
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from core.plugins import register_reward\n"
        "def make(device):\n    return lambda images, prompts: images.mean((1, 2, 3)) - images.mean()\n"
        "register_reward('first', make, help='')\n"
    )
    found = asked("check-plugin", str(bad))
    assert found.returncode == 1 and "reward first: a score depends on its batch" in found.stdout


@pytest.mark.parametrize("command", ["serve", "worker", "search", "doctor"])
def test_a_broken_plug_in_stops_the_start_in_a_sentence(command: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("x = 1\ndef f(:\n")
    told = asked(command, "--plugin", str(bad), "--data-dir", str(tmp_path / "data"))
    assert told.returncode == 2 and told.stderr == f"{command}: {bad}, line 2: invalid syntax\n"
    assert not (tmp_path / "data").exists()
