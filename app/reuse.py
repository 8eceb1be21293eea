"""A session's settings in forms that can be carried elsewhere: a command line, Python, the text of a picture.

All three give back an equal config. Only the standard library: pages and command line use this.
"""

import json
import shlex
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from app.pictures import METADATA_KEY
from app.settings import default_threads
from core import config as settings
from core.config import PRESETS, ExploreConfig, SearchConfig, preset_session
from core.errors import ConfigError, LabError

CHANGED = ", changed"
MAX_PICTURE = 5_000_000
# A prompt of 2,000 characters, eight rewards and the rest are below 30 kB, whatever their escapes.
MAX_TEXT = 100_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NO_SETTINGS = "this picture carries no settings of this lab: expected a PNG downloaded from it"


def preset_of(label: str) -> str:
    """The preset that a label stands for; its settings may have been changed since."""
    return label.removesuffix(CHANGED)


def labelled(search: SearchConfig, preset: str) -> SearchConfig:
    """`search` under the preset's name while its settings are the preset's own, else under "name, changed"."""
    base = PRESETS.get(preset)
    same = base is not None and replace(search, preset=preset) == base
    return replace(search, preset=preset if same else preset + CHANGED)


def usual(preset: str, prompt: str) -> ExploreConfig:
    """What `search PROMPT --preset NAME` asks for, without any other flag."""
    config = ExploreConfig(prompt, search=PRESETS[preset], threads=default_threads())
    return replace(config, **preset_session(preset))


def command_line(config: ExploreConfig) -> str:
    """The `python -m app search` line that asks for this config, with only what differs from the defaults.

    Quoted for bash and zsh. A preset that this lab does not have is spelt out over the usual one.
    """
    preset = preset_of(config.search.preset)
    named = preset if preset in PRESETS else SearchConfig.preset
    base = usual(named, config.prompt)
    words = ["python", "-m", "app", "search", *_prompt_words(config.prompt)]
    if named != SearchConfig.preset:
        words += ["--preset", named]
    for name, value in _differing(config, base).items():
        words += _flags(name, value)
    for name, value in _differing(config.search, base.search).items():
        words += _flags(name, value) if name != "preset" else []
    return " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    """A word as a shell reads it back. Whatever a terminal could act on when it is pasted becomes an escape."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(
        "\\" + ch if ch in "\\'" else ch if ch.isprintable() else "".join(f"\\x{byte:02x}" for byte in ch.encode())
        for ch in word
    )
    return f"$'{escaped}'"


def python_code(config: ExploreConfig) -> str:
    """A script that makes this config and runs it, with only what differs from the dataclasses' defaults."""
    search = "".join(f"        {name}={value!r},\n" for name, value in _from_defaults(config.search).items())
    lines = "".join(
        f"    {name}={value!r},\n" for name, value in _from_defaults(config).items() if name not in ("search", "prompt")
    )
    if search:
        lines += f"    search=SearchConfig(\n{search}    ),\n"
    names = "ExploreConfig, SearchConfig" if search else "ExploreConfig"
    return (
        f"from core.config import {names}\n"
        "from core.events import ArmFinished\n"
        "from core.explore import explore\n"
        "from core.models.registry import load_model\n"
        "from core.rewards.registry import load_reward\n\n"
        f"config = ExploreConfig(\n    prompt={config.prompt!r},\n{lines})\n\n"
        'if __name__ == "__main__":\n'
        "    rewards = {name: load_reward(name) for name in config.rewards}\n"
        "    for event in explore(config, load_model(config.model), rewards):\n"
        "        if isinstance(event, ArmFinished):\n"
        "            print(event.arm, event.rewards, event.cost.nfe)\n"
    )


def config_of_picture(content: bytes) -> ExploreConfig:
    """The config in a picture's text. Raises LabError, in a sentence, for anything that has none that can be used.

    The picture itself is never decoded, and text is unpacked to MAX_TEXT at most.
    """
    return _config_in(_metadata(content))


def place_of_picture(content: bytes) -> dict[str, Any]:
    """Where a downloaded picture stood: some of session, step, iteration, candidate and arm. Raises LabError."""
    place = _metadata(content)
    return {
        name: place[name]
        for name in ("session", "arm", "step", "iteration", "candidate")
        if isinstance(place.get(name), str | int) and len(str(place[name])) <= 40
    }


def _config_in(found: Mapping[str, Any]) -> ExploreConfig:
    try:
        return settings.from_dict(found.get("config"))
    except ConfigError as error:
        raise LabError(f"the settings in this picture cannot be used here: {str(error)[:500]}") from error


def _prompt_words(prompt: str) -> list[str]:
    return [f"--prompt={prompt}"] if prompt.startswith("-") or not prompt else [prompt]


def _differing(one: Any, base: Any) -> dict[str, Any]:
    """The fields of two dataclasses in which the first differs; `search` is compared on its own."""
    pairs = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "search"}
    return {name: value for name, value in pairs.items() if value != getattr(base, name)}


def _flags(name: str, value: Any) -> list[str]:
    """The flags that set one field. Numbers are written so that they read back exactly."""
    flag = "--" + name.replace("_", "-")
    if name == "rewards":
        return [f"--reward={reward}={weight!r}" for reward, weight in value.items()]
    if name == "arms":
        return ["--arms", *value] if value else ["--no-arms"]
    if isinstance(value, bool):
        return [flag if value else "--no-" + flag.removeprefix("--")]
    text = value if isinstance(value, str) else repr(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _from_defaults(one: Any) -> dict[str, Any]:
    """A dataclass's fields that are not as they are by default, in plain Python values."""
    defaults = {
        field.name: field.default_factory() if field.default_factory is not MISSING else field.default
        for field in fields(one)
    }
    found = {name: getattr(one, name) for name, default in defaults.items() if getattr(one, name) != default}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in found.items()}


def _metadata(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_PICTURE:
        raise LabError(f"this file is too large: expected a picture of at most {MAX_PICTURE // 1_000_000} MB")
    if not content.startswith(_SIGNATURE):
        raise LabError("this file is not a PNG: expected a picture downloaded from this lab")
    for kind, data in _chunks(content):
        if kind == b"iTXt" and data.startswith(METADATA_KEY.encode() + b"\0"):
            found = _plain(_international_text(data))
            if isinstance(found, dict):
                return found
    raise LabError(_NO_SETTINGS)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The PNG's chunks, kind and data, to its end. Raises LabError where it is cut off or damaged."""
    at = len(_SIGNATURE)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        check = content[at + 8 + length : at + 12 + length]
        if len(check) < 4 or struct.unpack(">I", check)[0] != zlib.crc32(kind + data):
            raise LabError("this picture is cut off or damaged: expected a whole PNG")
        yield kind, data
        if kind == b"IEND":
            return
        at += 12 + length


def _international_text(data: bytes) -> str:
    """The text of an iTXt chunk: keyword, packed or not, method, language, translated keyword, text."""
    _, _, rest = data.partition(b"\0")
    packed, rest = rest[:1], rest[2:]
    _, _, rest = rest.partition(b"\0")
    _, _, text = rest.partition(b"\0")
    if packed == b"\1":
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(text, MAX_TEXT + 1)
        except zlib.error as error:
            raise LabError("the settings in this picture are damaged") from error
    if len(text) > MAX_TEXT:
        raise LabError("the settings in this picture are too long to be ours")
    return text.decode("utf-8", errors="replace")


def _plain(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise LabError("the settings in this picture are damaged") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")
