"""What the README promises: its Python runs, its commands exist, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import ROOT

README = (ROOT / "README.md").read_text()


def test_the_python_example_searches_and_saves_a_picture(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(_examples()[0], "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["search", "no_search", "ode"]
    assert (tmp_path / "found.png").stat().st_size > 100


def test_the_plugin_example_keeps_to_the_rules(tmp_path: Path) -> None:
    (tmp_path / "redness.py").write_text(_examples()[1])
    command = [sys.executable, "-m", "app", "check-plugin", str(tmp_path / "redness.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "redness" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "search",
        "show",
        "export",
        "reliability",
        "doctor",
        "download",
        "check-plugin",
        "backup",
        "bundle",
        "import",
        "replay",
    ],
)
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


def _examples() -> list[str]:
    """The Python blocks: a search, and a plug-in."""
    return re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
