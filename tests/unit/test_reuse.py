"""A config carried as a command line, as Python and in a picture comes back as it was."""

import json
import shlex
import struct
import subprocess
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from app.__main__ import _parser
from app.flags import read_search
from app.pictures import METADATA_KEY, encode_final
from app.reuse import (
    MAX_PICTURE,
    MAX_TEXT,
    command_line,
    config_of_picture,
    labelled,
    place_of_picture,
    python_code,
    usual,
)
from core import config as settings
from core.config import PRESETS, ExploreConfig, SearchConfig, from_dict, preset_session, problems_of, to_dict
from core.errors import LabError

unhurried = tries(deadline=None)  # the first example imports torch
HOSTILE = [
    "a photo of a red circle",
    "-rf /",
    "--preset",
    "'; rm -rf ~; echo '",
    '"$(id)" `id` $HOME \\',
    "two\nlines\tand a tab",
    "\x1b[201~\nid\n",
    "\x03id\x7f\x9f4",
    "<script>alert(1)</script>",
    "\u202egnp.exe\u2028",
    "\u00e9\u4e2d\U0001f600 \\' \\x41",
    "it's",
    "!!",
    "=~*?[a]{b,c}#",
    "'''\"\"\"\\",
]
text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=60)
prompts = st.sampled_from(HOSTILE) | text.filter(str.strip)
names = st.sampled_from(["shapes-clip", "shapes-verifier", "a=b", "-x", "it's"]) | text
share = st.floats(0, 1)


@st.composite
def configs(draw: st.DrawFn, prompt: st.SearchStrategy[str] = prompts) -> ExploreConfig:
    """Configs that can run, their searches labelled as the form and the command line label them."""
    preset = draw(st.sampled_from(list(PRESETS)))
    search = draw(
        st.just(PRESETS[preset])
        | st.builds(
            SearchConfig,
            num_candidates=st.integers(1, 256),
            num_iterations=st.integers(0, 64),
            elite_fraction=share,
            reading=st.sampled_from(settings.READINGS),
            result=st.sampled_from(settings.RESULT_MODES),
            selection=st.sampled_from(settings.SELECTIONS),
            min_std=share,
        )
    )
    config = ExploreConfig(draw(prompt), search=labelled(search, preset))
    several = {
        "seed": st.integers(0, 2**31 - 1),
        "model": names,
        "num_steps": st.integers(2, 100),
        "guidance_scale": st.floats(0, 30) | st.integers(0, 30),
        "step_kind": st.sampled_from(settings.STEP_KINDS),
        "noise_level": st.none() | st.floats(0, 5),
        "window_min": share,
        "window_max": share,
        "search_initial": st.booleans(),
        "estimator": st.sampled_from(settings.ESTIMATORS),
        "estimator_steps": st.integers(1, 20),
        "rewards": st.dictionaries(names, st.floats(-1000, 1000), min_size=1, max_size=8),
        "reward_sum": st.sampled_from(settings.REWARD_SUMS),
        "arms": st.lists(st.sampled_from(settings.ARMS), unique=True).map(tuple),
        "batch_size": st.integers(1, 1024),
        "threads": st.integers(1, 64),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(several))))
    config = replace(config, **{name: draw(several[name]) for name in sorted(chosen)})
    return config if not problems_of(config) else ExploreConfig(config.prompt)


def asked(words: list[str]) -> ExploreConfig:
    """The config that `python -m app WORDS` would run."""
    assert words[:3] == ["python", "-m", "app"]
    return from_dict(read_search(_parser().parse_args(words[3:])))


def through_bash(line: str) -> list[str]:
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={})
    return printed.stdout.decode().split("\0")[:-1]


@unhurried
@given(configs(st.just("a photo of a blue star")))
def test_a_command_line_reads_back_as_the_config(config: ExploreConfig) -> None:
    line = command_line(config)
    words = shlex.split(line) if line.isprintable() and "$'" not in line else through_bash(line)
    assert asked(words) == config


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_shell_reads_hostile_prompts_as_text(prompt: str) -> None:
    line = command_line(ExploreConfig(prompt, threads=usual("smart-grpo", "-").threads))
    assert line.isprintable()
    words = through_bash(line)
    assert asked(words).prompt == prompt
    assert len(words) == 5


@tries(max_examples=40, deadline=None)
@given(configs())
def test_any_prompt_survives_the_shell(config: ExploreConfig) -> None:
    line = command_line(config)
    assert line.isprintable()
    assert asked(through_bash(line)) == config


@unhurried
@given(configs())
def test_python_code_makes_the_config(config: ExploreConfig) -> None:
    made: dict[str, Any] = {"__name__": "copied"}
    exec(compile(python_code(config), "copied.py", "exec"), made)
    assert made["config"] == config


def test_only_what_differs_is_written() -> None:
    plain = usual("smart-grpo", "a photo of a red circle")
    assert command_line(plain) == "python -m app search 'a photo of a red circle'"
    other = usual("initial-noise", "x")
    assert command_line(other) == "python -m app search x --preset initial-noise"
    fewer = replace(other, search_initial=False, seed=3, arms=())
    assert command_line(fewer).endswith("--preset initial-noise --seed 3 --no-search-initial --no-arms")
    assert python_code(ExploreConfig("x")).split("\n\n")[1] == "config = ExploreConfig(\n    prompt='x',\n)"
    assert preset_session("initial-noise")["search_initial"], "or the line above shows nothing"


def test_a_preset_from_elsewhere_is_spelt_out() -> None:
    mine = SearchConfig("mine", num_candidates=7, selection="random")
    line = command_line(ExploreConfig("x", search=mine, threads=usual("smart-grpo", "-").threads))
    assert asked(shlex.split(line)).search == replace(mine, preset="smart-grpo, changed")


def picture(metadata: Any, size: int = 8) -> bytes:
    return encode_final(np.zeros((size, size, 3), np.uint8), metadata)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_text(data: bytes) -> bytes:
    """A PNG whose first chunk after its header is an iTXt of ours."""
    plain = picture({})
    return plain[:33] + chunk(b"iTXt", METADATA_KEY.encode() + data) + plain[33:]


@unhurried
@given(configs())
def test_a_picture_carries_its_config(config: ExploreConfig) -> None:
    place = {"session": "abc", "step": 4, "iteration": 2, "candidate": 1}
    content = picture({"config": to_dict(config), **place})
    assert config_of_picture(content) == config
    assert place_of_picture(content) == place


def test_a_packed_text_is_read_and_a_bomb_is_not_unpacked() -> None:
    plain = json.dumps({"config": to_dict(ExploreConfig("x"))}).encode()
    assert config_of_picture(with_text(b"\0\1\0\0\0" + zlib.compress(plain))) == ExploreConfig("x")
    bomb = with_text(b"\0\1\0\0\0" + zlib.compress(b"[" * 200_000_000, 9))
    assert len(bomb) < MAX_PICTURE
    with pytest.raises(LabError, match="too long to be ours"):
        config_of_picture(bomb)


def test_a_picture_is_never_decoded() -> None:
    """A header that promises 10^9 x 10^9 pixels is only skipped."""
    huge = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    text = METADATA_KEY.encode() + b"\0\0\0\0\0" + json.dumps({"config": to_dict(ExploreConfig("x"))}).encode()
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"iTXt", text) + chunk(b"IEND", b"")
    assert config_of_picture(content).prompt == "x"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a PNG"),
        (b"GIF89a", "not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "carries no settings"),
        (picture({})[:40], "cut off or damaged"),
        (picture({"config": {"prompt": "x"}})[:90], "cut off or damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, "cut off or damaged"),
        (picture({})[:33] + picture({})[-12:], "carries no settings"),
        (picture({}), "cannot be used here"),
        (picture([1]), "carries no settings"),
        (picture({"config": {"prompt": "x", "wings": 2}}), "wings: is not a setting"),
        (picture({"config": {"prompt": "x", "num_steps": 10**9}}), "num_steps: expected a whole number"),
        (picture({"config": {"prompt": "x", "search": [1]}}), "cannot be used here"),
        (picture({"config": {"prompt": "x" * 200_000}}), "too long to be ours"),
        (with_text(b"\0\0\0\0\0{not json"), "are damaged"),
        (with_text(b"\0\0\0\0\0" + b"[" * 90_000), "are damaged"),
        (with_text(b'\0\0\0\0\0{"config": {"prompt": "x", "guidance_scale": NaN}}'), "are damaged"),
        (with_text(b"\0\1\0\0\0not packed"), "are damaged"),
        (with_text(b"\0"), "are damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (MAX_PICTURE + 1), "too large"),
    ],
)
def test_what_is_not_ours_is_told(content: bytes, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        config_of_picture(content)


@unhurried
@given(st.binary(max_size=200), st.integers(0, 300))
def test_nothing_but_a_lab_error_comes_out_of_noise(noise: bytes, at: int) -> None:
    whole = picture({"config": to_dict(ExploreConfig("x"))})
    for content in (noise, b"\x89PNG\r\n\x1a\n" + noise, whole[:at] + noise + whole[at:]):
        try:
            config_of_picture(content)
        except LabError as error:
            assert len(str(error)) <= MAX_TEXT
