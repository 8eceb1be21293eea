"""What the README promises: its Python runs, its commands exist, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import ROOT

README = (ROOT / "README.md").read_text()


def test_the_python_example_prints_every_arm(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed][0] == "search" and len(printed) == 6


@pytest.mark.parametrize("command", ["serve", "search", "doctor"])
def test_commands_it_names_exist(command: str) -> None:
    assert f"-m app {command}" in README
    done = subprocess.run([sys.executable, "-m", "app", command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "usage" in done.stdout


def test_links_and_pictures_are_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r"\]\(([^)#]+)\)", _card())
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_files_of_the_tree_exist() -> None:
    for name in re.findall(r"`((?:app|core|storage|assets|tests)/[\w./-]+)`", README + _card()):
        assert (ROOT / name).exists(), name


def test_no_number_is_still_to_be_measured() -> None:
    assert not re.search(r"%[A-Z_0-9]+%", README + _card())


def _card() -> str:
    return Path(ROOT / "assets" / "MODEL_CARD.md").read_text()
