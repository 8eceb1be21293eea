"""The image, as far as it can be checked without a Docker daemon: what is copied, and what is started."""

import ast
import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import ROOT

NEEDED = ("app", "core", "storage", "assets", "Makefile", "requirements.txt", "LICENSE")


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, the rest) of the Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    pairs = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(pair[0], pair[1].strip()) for pair in pairs]


def of(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def ignored(path: Path) -> bool:
    """Whether .dockerignore keeps a file out of the build; the last rule that fits it or a folder of it decides."""
    relative = path.relative_to(ROOT)
    places = [str(relative), *(str(parent) for parent in relative.parents if parent != Path("."))]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        depth = places if not rule.removeprefix("!").startswith("**/") else [*places, *(Path(p).name for p in places)]
        if any(fnmatch.fnmatchcase(place, pattern) for place in depth):
            out = not rule.startswith("!")
    return out


def copied() -> dict[str, str]:
    """Source by destination, below the image's working folder."""
    found: dict[str, str] = {}
    for rest in of("COPY"):
        *sources, target = rest.split()
        assert not any(word.startswith("--") for word in sources), "a COPY from elsewhere is not checked here"
        for source in sources:
            found[str(Path(target) / source) if target.endswith("/") else target] = source
    return found


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def made(words: list[str]) -> list[str]:
    """The targets of a make command."""
    assert words[0] == "make", words
    return [word for word in words[1:] if not word.startswith("-") and "=" not in word]


def files_in(folder: str) -> list[Path]:
    """What a build would see of a folder: everything there that git does not ignore."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    for source in copied().values():
        assert (ROOT / source).exists(), source
        files = [ROOT / source] if (ROOT / source).is_file() else files_in(source)
        kept = [path for path in files if not ignored(path)]
        assert kept, f"{source} is copied, and .dockerignore leaves nothing of it"
        lost = [path for path in files if ignored(path) and path.suffix == ".py"]
        assert not lost, lost


def test_nothing_else_reaches_the_build() -> None:
    for name in (".git", ".venv", "data", "tests", ".ci", "README.md", "bench.json", "app/__pycache__/x.pyc"):
        assert ignored(ROOT / name), name


def test_everything_the_lab_needs_is_copied() -> None:
    assert set(NEEDED) <= set(copied())
    houses = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} - {"tests"}
    for house in houses & set(copied()):
        for path in (ROOT / house).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                module = node.module if isinstance(node, ast.ImportFrom) else None
                top = (module or "").partition(".")[0]
                assert top not in houses or top in copied(), f"{path} imports {module}"


def test_the_image_is_installed_and_started_by_make() -> None:
    runs = [part.strip() for rest in of("RUN") for part in rest.split("&&")]
    assert "make install" in runs
    assert not [part for part in runs if re.match(r"(pip|python)", part)], "only make knows how things are installed"
    started, checked = json.loads(of("CMD")[0]), json.loads(of("HEALTHCHECK")[0].partition("CMD")[2])
    for words in (started, checked, ["make", "install"]):
        assert made(words) and set(made(words)) <= targets(), words
    assert made(started) == ["run"] and made(checked) == ["health"]
    assert not of("ENTRYPOINT")


def test_the_image_runs_as_nobody_in_particular_and_keeps_its_data_in_a_volume() -> None:
    names = [name for name, _ in instructions()]
    assert of("USER") == ["lab"] and names.index("USER") < names.index("CMD")
    assert "LAB_DATA_DIR=/data" in of("ENV")[0] and of("VOLUME") == ["/data"]
    assert "LAB_BEHIND_LOOPBACK" not in of("ENV")[0] and "PASSWORD" not in of("ENV")[0]


def test_an_image_that_nobody_said_anything_to_does_not_open_its_door() -> None:
    """Its own environment, without a password and without the word that it is published to 127.0.0.1 alone."""
    given = dict(pair.split("=", 1) for pair in of("ENV")[0].split())
    line = subprocess.run(
        ["make", "--dry-run", "--silent", "run"], cwd=ROOT, env={"PATH": "/usr/bin:/bin", **given}, capture_output=True
    ).stdout.decode()
    words = line.strip().splitlines()[-1].split()
    assert words[1:] == ["-m", "app", "serve", "--host", "0.0.0.0", "--port", "7860"]
    refused = subprocess.run(
        [sys.executable, *words[1:-1], "0", "--data-dir", "/nonexistent-but-refused-before-it-is-made"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert refused.returncode == 2 and "LAB_PASSWORD" in refused.stderr and "LAB_BEHIND_LOOPBACK=1" in refused.stderr


@pytest.mark.parametrize("module", ["app.server", "app.worker", "core.explore"])
def test_what_is_copied_starts(module: str, tmp_path: Path) -> None:
    """The tree as the image would have it, and nothing of the checkout beside it."""
    for target, source in copied().items():
        files = [ROOT / source] if (ROOT / source).is_file() else files_in(source)
        for path in files:
            if not ignored(path):
                place = (
                    tmp_path / target / path.relative_to(ROOT / source) if path != ROOT / source else tmp_path / target
                )
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
    code = f"import {module} as it; assert it.__file__.startswith({str(tmp_path)!r}), it.__file__"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=120).returncode == 0
    assert (tmp_path / "assets" / "recorded" / "session.json").exists() == (
        ROOT / "assets/recorded/session.json"
    ).exists()
