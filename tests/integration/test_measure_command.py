"""`reliability` with prompts: a measurement in this process, recorded as a worker's is."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import measure_request
from app.__main__ import main
from app.measure_command import measure_here
from app.measure_flags import read_body
from app.services import Lab
from app.settings import Settings
from core.errors import ConfigError, RewardError
from storage import jobs
from tests.fakes import fake_toolbox
from tests.integration.test_measuring import CONFIG, EVENTS, shown, stored, undisturbed

BODY = {
    "prompts": list(CONFIG.prompts),
    "model": "fake",
    "num_steps": 4,
    "seeds": [0, 7],
    "num_siblings": 5,
    "estimates": list(CONFIG.estimates),
    "rewards": dict(CONFIG.base.rewards),
    "threads": 1,
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(measure_request.models, "usable", lambda name: (True, ""))
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def ran(lab: Lab, **more: Any) -> str:
    out = io.StringIO()
    assert measure_here(lab, BODY, toolbox=fake_toolbox(), out=out, **more) == 0
    return out.getvalue()


def test_json_tells_rows_as_they_are_finished_then_the_analysis(lab: Lab) -> None:
    lines = [json.loads(line) for line in ran(lab, as_json=True).splitlines()]
    assert [line["event"] for line in lines] == ["measurement", "row", "row", "row", "row", "analysis"]
    record_id = lines[0]["id"]
    assert lines[0]["config"]["prompts"] == BODY["prompts"]
    assert [(line["row"], line["rows"], line["prompt"], line["seed"]) for line in lines[1:5]] == [
        (row, 4, *pair) for row, pair in enumerate(CONFIG.pairs)
    ]
    assert [line["nfe"] for line in lines[1:5]] == [lines[1]["nfe"] * many for many in (1, 2, 3, 4)]
    told, view = lines[5], shown(lab, record_id)
    assert told == {"event": "analysis"} | {name: view[name] for name in told if name != "event"}
    assert set(told["curves"]) == set(CONFIG.estimates) and {"window", "sentence", "realised"} <= set(told)
    assert stored(lab, record_id) == undisturbed(lab), "as a worker records it"


def test_without_json_a_table_says_what_was_seen_and_where_it_lies(lab: Lab) -> None:
    lines = ran(lab, as_json=False).splitlines()
    assert (
        lines[0].split()[:3] == ["step", "sigma", "sde"] and "literal" in lines[0] and "best: shapes-clip" in lines[0]
    )
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert any(line.startswith("Recommended window: ") for line in lines)
    record_id = lab.recent(1)[0]["id"]
    assert f"/reliability?record={record_id}" in lines[-1]
    view = shown(lab, record_id)
    assert (view["state"], view["job"], view["progress"]) == ("succeeded", None, 1.0)


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [(KeyboardInterrupt(), "cancelled", None), (RewardError("the reward broke"), "failed", "the reward broke")],
)
def test_what_ends_it_early_is_told_by_its_record(lab: Lab, error: BaseException, state: str, told: str | None) -> None:
    def before(name: str) -> None:
        if name == "siblings 2 1":
            raise error

    with pytest.raises(type(error)):
        measure_here(lab, BODY, as_json=True, toolbox=fake_toolbox(before), out=io.StringIO())
    record = lab.recent(1)[0]
    assert (record["state"], record["error"]) == (state, told)
    assert 0 < len(stored(lab, record["id"])) < EVENTS and shown(lab, record["id"])["rows_done"] == 2
    with lab.database.read() as tx:
        assert jobs.latest_job(tx, record["id"]) is None


class Flags:
    """What argparse makes of no flag at all."""

    prompt = prompts_file = prompt_set = reward = None
    model = num_steps = guidance_scale = step_kind = noise_level = batch_size = threads = None
    num_siblings = num_elites = seeds = estimates = steps = start_sigma = None

    def __init__(self, **given: Any):
        self.__dict__.update(given)


def test_flags_say_what_a_page_would(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("# mine\na photo of a star\n\n  a photo of a circle \na photo of a star\n", encoding="utf-8-sig")
    body = read_body(Flags(prompts_file=file, seeds=2, steps=[1, 4], start_sigma=0.6, reward=[("shapes-clip", 1.0)]))
    assert body == {
        "prompts": ["a photo of a star", "a photo of a circle"],
        "seeds": 2,
        "steps": [0, 3],
        "start_sigma": 0.6,
        "rewards": {"shapes-clip": 1.0},
    }
    assert read_body(Flags(prompt_set="mixed")) == {"set": "mixed"}
    assert read_body(Flags(prompt=["a", "b"]))["prompts"] == ["a", "b"]
    beyond = {"prompt": ["a"], "num_steps": 4, "steps": [2, 5]}
    for wrong in ({}, {"prompt": ["a"], "prompt_set": "mixed"}, {"prompts_file": tmp_path / "none"}, beyond):
        with pytest.raises(ConfigError):
            read_body(Flags(**wrong))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "--from-array, --prompt, --prompts-file and --prompt-set"),
        (["--prompt-set", "no-such"], "expected one of mixed"),
        (["--prompt", "a photo of a star", "--num-siblings", "1"], "--num-siblings: expected a whole number from 2"),
        (
            ["--prompt", "a photo of a star", "--timesteps", "0", "3"],
            "--timesteps: expected timesteps from 1 to 10, got 0",
        ),
        (["--prompt", "a photo of a star", "--model", "sd9"], "--model: expected one of the models"),
        (["--prompt", "a photo of a star", "--start-sigma", "1.5"], "--start-sigma: expected a number from 0.01"),
    ],
)
def test_what_is_wrong_is_told_under_its_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    assert main(["reliability", *flags, "--data-dir", str(tmp_path / "data")]) == 2
    assert told in capsys.readouterr().err
