"""The command line: what it prints, and how it tells what is wrong."""

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import services
from app.__main__ import main
from app.flags import add_search_flags
from app.running import KILLED as KILLED_TEXT
from app.running import end_killed
from app.search import search
from app.services import Lab
from app.settings import ROOT, Settings, default_threads, read_settings
from core.config import ARMS, FIELD_HELP, to_dict
from core.errors import ConfigError, RewardError
from tests.fakes import fake_toolbox
from tests.integration.test_worker import PLAIN, science, shown, undisturbed


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(services.models, "usable", lambda name: (True, ""))
    monkeypatch.setattr(services.rewards, "usable", lambda name: (True, ""))
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def printed(lab: Lab, plain: dict[str, Any], *, as_json: bool) -> str:
    out = io.StringIO()
    assert search(lab, plain, as_json=as_json, toolbox=fake_toolbox(), out=out) == 0
    return out.getvalue()


def test_the_table_has_a_line_for_every_arm(lab: Lab) -> None:
    lines = printed(lab, PLAIN, as_json=False).splitlines()
    assert lines[0].split() == ["arm", "total", "shapes-verifier", "runs", "NFE", "decodes", "seconds"]
    assert [line.split()[0] for line in lines[1:7]] == ["search", *ARMS]
    assert lab.recent(1)[0]["id"] in lines[-1] and lab.recent(1)[0]["state"] == "succeeded"


def test_json_lines_say_everything_that_happened(lab: Lab) -> None:
    objects = [json.loads(line) for line in printed(lab, PLAIN, as_json=True).splitlines()]
    kinds = {kind: [one for one in objects if one["event"] == kind] for kind in {one["event"] for one in objects}}
    assert {kind: len(found) for kind, found in kinds.items()} == {
        "session": 1,
        "step": 10,
        "iteration": 10,
        "candidate": 50,
        "outcome": 6,
    }
    assert kinds["session"][0].keys() == {"event", "id", "config"}
    assert kinds["step"][0].keys() == {
        *("event", "step", "sigma", "sigma_next", "searched", "reward", "rewards", "excess_noise")
    }
    assert kinds["iteration"][0].keys() == {
        *("event", "step", "iteration", "search_mean_norm", "search_std_median", "mean_cosine", "nfe")
    }
    assert kinds["candidate"][0].keys() == {
        *("event", "step", "iteration", "candidate", "reward", "rewards", "elite", "noise_norm")
    }
    assert kinds["outcome"][0].keys() == {"event", "arm", "reward", "rewards", "nfe", "decodes", "seconds"}
    assert [one["candidate"] for one in kinds["candidate"][:6]] == [0, 1, 2, 3, 4, 0]
    assert sum(one["elite"] for one in kinds["candidate"]) == 2 * 10
    assert kinds["step"][4]["searched"] and not kinds["step"][0]["searched"]
    assert kinds["step"][0]["sigma"] == 1.0 and kinds["step"][-1]["sigma_next"] == 0.0


def test_the_command_line_records_what_a_worker_would(lab: Lab) -> None:
    printed(lab, PLAIN, as_json=True)
    assert science(shown(lab, lab.recent(1)[0]["id"])) == undisturbed(lab)


def test_a_reward_that_is_not_a_number_is_null_in_json(lab: Lab) -> None:
    out = io.StringIO()
    toolbox = fake_toolbox(reward=lambda images, prompts: tuple(float("nan") for _ in images))
    search(lab, PLAIN, as_json=True, toolbox=toolbox, out=out)
    candidates = [one for one in map(json.loads, out.getvalue().splitlines()) if one["event"] == "candidate"]
    assert candidates and all(one["reward"] is None for one in candidates)


def test_a_search_that_fails_says_so_in_its_record(lab: Lab) -> None:
    def raising(images: Any, prompts: Any) -> Any:
        raise RewardError("shapes-verifier: raised ValueError")

    with pytest.raises(RewardError):
        search(lab, PLAIN, as_json=True, toolbox=fake_toolbox(reward=raising), out=io.StringIO())
    record = lab.recent(1)[0]
    assert (record["state"], record["error"]) == ("failed", "shapes-verifier: raised ValueError")


def test_a_recording_opens_a_fresh_lab(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    search(lab, PLAIN, as_json=True, toolbox=fake_toolbox(), keep_as=folder, out=io.StringIO())
    fresh = Lab(Settings(tmp_path / "fresh", recorded=folder))
    try:
        record_id = fresh.default_record()
        assert record_id is not None
        view = shown(fresh, record_id)
        assert view["state"] == "succeeded" and view["job"] is None
        assert science(view) == science(shown(lab, lab.recent(1)[0]["id"]))
        assert fresh.artifact_path(view["iterations"][0]["images"][0]).is_file()
        reopened = Lab(Settings(tmp_path / "fresh", recorded=folder))
        assert len(reopened.recent()) == 1, "it is imported once"
        reopened.close()
    finally:
        fresh.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["search"], "search: --prompt: expected a sentence"),
        (["search", "x", "--prompt", "y"], "expected it once, got it twice"),
        (["search", "x", "--preset", "best"], "search: --preset: expected one of smart-grpo"),
        (
            ["search", "x", "--num-candidates", "0"],
            "search: --num-candidates: expected a whole number from 1 to 256, got 0",
        ),
        (
            ["search", "x", "--elite-fraction", ".1"],
            "search: --elite-fraction: --elite-fraction * --num-candidates must be at least 1, got floor(0.1 * 5) = 0",
        ),
        (["search", "x", "--seed", "-1"], "search: --seed: expected a whole number from 0"),
        (["search", "x", "--steps", "1"], "search: --num-steps: expected a whole number from 2 to 100, got 1"),
        (["search", "x", "--window", ".8", ".3"], "search: --window-min: expected at most --window-max (0.3), got 0.8"),
        (["search", "x", "--arms", "luck"], "search: --arms: expected some of no_search"),
        (["search", "x", "--reward", "a=b"], "expected NAME=WEIGHT such as shapes-clip=1, got 'a=b'"),
        (["search", "x", "--reward", "beauty=1"], "search: --reward: expected one of the rewards"),
        (["search", "x", "--algorithm", "luck"], "search: --algorithm: expected one of the searches cem, got 'luck'"),
        (["search", "x", "--plugin", "none.py"], "none.py: cannot be read: No such file"),
        (["serve", "--plugin", str(ROOT / "README.md")], "README.md, line "),
        (["check-plugin", "none.py"], "check-plugin: "),
        (["search", "x", "--reward", "shapes-clip=0"], "something must be climbed"),
        (["search", "x", "--model", "sd9"], "search: --model: expected one of the models shapes-sd3"),
        (["search", "x", "--noise-level", "nan"], "search: --noise-level: expected a number from 0 to 5, got nan"),
        (["search", "x", "--step-kind", "ode"], "an ode step has no noise to search"),
        (["search", "x" * 2001], "expected at most 2000 characters, got 2001"),
        (["search", "\udc80"], "expected plain text"),
        (["serve", "--port", "99999"], "expected a number from 0 to 65535, got '99999'"),
        (["serve", "--host", "999.1.1.1", "--port", "0"], "serve: --host: others could reach the lab at 999.1.1.1"),
        (["worker"], "worker: there is no database at"),
        (["fly"], "invalid choice: 'fly'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path))
    try:
        code = main(arguments)
    except SystemExit as left:
        code = int(str(left.code))
    told = capsys.readouterr()
    assert code == 2
    assert sentence in told.err and "Traceback" not in told.err
    assert told.out == ""


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["doctor", "--data-dir", str(tmp_path / "file" / "below")]) == 2
    assert "doctor: --data-dir: cannot make the folder" in capsys.readouterr().err


def test_doctor_tells_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--data-dir", str(tmp_path)])
    report = capsys.readouterr().out
    for word in (
        "python ",
        "torch 2",
        "device ",
        "shapes-sd3: ",
        "shapes-verifier: usable",
        "GB free",
        "schema",
        "ready",
    ):
        assert word in report
    assert not (tmp_path / "lab.sqlite").exists(), "it only looks"


def test_settings_come_from_flags_then_from_the_environment(tmp_path: Path) -> None:
    environ = {"LAB_DATA_DIR": str(tmp_path / "a"), "LAB_DATABASE_URL": "postgresql://lab@/lab", "LAB_DEVICE": "cpu"}
    read = read_settings(None, environ)
    assert (read.data_dir, read.database, read.device) == (tmp_path / "a", "postgresql://lab@/lab", "cpu")
    assert read_settings(str(tmp_path / "b"), environ).data_dir == tmp_path / "b"
    assert read_settings(str(tmp_path / "b"), {}).database == str(tmp_path / "b" / "lab.sqlite")
    with pytest.raises(ConfigError, match="LAB_DATABASE_URL: expected an address such as postgresql://"):
        read_settings(str(tmp_path), {"LAB_DATABASE_URL": "lab.sqlite"})
    with pytest.raises(ConfigError, match="expected one of auto, cpu, cuda, mps, got 'tpu'"):
        read_settings(str(tmp_path), {"LAB_DEVICE": "tpu"})


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (64, 8)])
def test_two_cores_or_fewer_give_a_job_one_thread(cores: int, threads: int) -> None:
    assert default_threads(cores) == threads


def test_help_names_every_command() -> None:
    told = subprocess.run([sys.executable, "-m", "app", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0
    assert all(name in told.stdout for name in ("serve", "worker", "search", "doctor", "record-demo"))


def test_a_stopped_search_is_not_left_running(lab: Lab) -> None:
    def stopped(images: Any, prompts: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(lab, PLAIN, as_json=True, toolbox=fake_toolbox(reward=stopped), out=io.StringIO())
    assert (lab.recent(1)[0]["state"], lab.recent(1)[0]["error"]) == ("cancelled", None)


KILLED = (
    "import os, sys; from app.search import search; from app import services; from app.services import Lab\n"
    "from app.settings import Settings; from pathlib import Path; from tests.fakes import fake_toolbox\n"
    "from tests.integration.test_worker import PLAIN\n"
    "services.models.usable = services.rewards.usable = lambda name: (True, '')\n"
    "def before(name):\n"
    "    if name == 'iteration 4 1':\n"
    "        print('here', flush=True); sys.stdin.read()\n"
    "search(Lab(Settings(Path(sys.argv[1]), recorded=None)), PLAIN, as_json=False, toolbox=fake_toolbox(before))"
)


def test_a_killed_search_is_not_left_running_and_a_living_one_is_left_alone(lab: Lab) -> None:
    command = [sys.executable, "-c", KILLED, str(lab.settings.data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "here\n"
        assert end_killed(lab.database, lab.settings.data_dir) == [], "it lives"
        Lab(lab.settings).close()
        assert lab.recent(1)[0]["state"] == "running"
        child.kill()
        child.wait()
    printed(lab, PLAIN | {"seed": 4}, as_json=True)
    assert lab.recent(2)[1]["state"] == "running", "nobody has looked yet"
    Lab(lab.settings).close()
    ended = lab.recent(2)[1]
    assert (ended["state"], ended["error"]) == ("failed", KILLED_TEXT)
    assert lab.recent(1)[0]["state"] == "succeeded"
    assert not list((lab.settings.data_dir / "searching").iterdir())


def test_a_lock_left_by_a_search_that_has_ended_changes_nothing(lab: Lab) -> None:
    printed(lab, PLAIN, as_json=True)
    for name in (lab.recent(1)[0]["id"], "nosuchrecord"):
        (lab.settings.data_dir / "searching" / f"{name}.lock").touch()
    assert end_killed(lab.database, lab.settings.data_dir) == []
    assert lab.recent(1)[0]["state"] == "succeeded"


def test_every_flag_of_search_has_its_help() -> None:
    told = subprocess.run([sys.executable, "-m", "app", "search", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert " ".join(FIELD_HELP["search.reading"].split()) in " ".join(told.stdout.split())
    parser = argparse.ArgumentParser()
    add_search_flags(parser)
    assert [action.dest for action in parser._actions if not action.help] == []
    flags = {flag for action in parser._actions for flag in action.option_strings}
    names = {one.removeprefix("search.").replace("_", "-") for one in FIELD_HELP} - {"rewards"}
    assert flags >= {f"--{name}" for name in names} | {"--reward"}


def test_a_search_of_x_1_says_what_it_did(lab: Lab) -> None:
    from core.explore import explore
    from tests.tiny import sd3_model
    from tests.unit.test_explore import CONFIG, REWARDS

    out = io.StringIO()
    tools = replace(fake_toolbox(), explore=explore, load_model=lambda name: sd3_model(), load_reward=REWARDS.get)
    plain = to_dict(replace(CONFIG, search_initial=True, arms=()))
    assert search(lab, plain, as_json=True, toolbox=tools, out=out) == 0
    objects = [json.loads(line) for line in out.getvalue().splitlines()]
    places = [(one["event"], one["step"]) for one in objects if one["event"] in ("iteration", "step")]
    assert places[:4] == [("iteration", -1), ("iteration", -1), ("step", -1), ("step", 0)]
    chosen = next(one for one in objects if one["event"] == "step")
    assert (chosen["sigma"], chosen["sigma_next"], chosen["searched"], chosen["excess_noise"]) == (1.0, 1.0, True, 0.0)
    assert printed(lab, PLAIN | {"num_steps": 3}, as_json=False)


def test_a_reader_that_leaves_ends_the_search_quietly(tmp_path: Path) -> None:
    script = (
        "import io, sys; from app import search, services, toolbox; from app.__main__ import main\n"
        "from tests.fakes import fake_toolbox\n"
        "search.torch_toolbox = lambda device: fake_toolbox()\n"
        "services.models.usable = services.rewards.usable = lambda name: (True, '')\n"
        "sys.exit(main(['search', 'a photo of a red circle', '--json', '--data-dir', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert '"event": "session"' in child.stdout.readline()
        child.stdout.close()
        assert child.wait(60) == 1
        assert child.stderr.read() == ""
