"""The house's rules: who may import whom, and what the web process never loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import ROOT

# What each folder may import of the others, and the libraries it must stay free of.
ALLOWED = {"core": {"core"}, "storage": {"core", "storage"}, "app": {"core", "storage", "app"}}
FORBIDDEN = {
    "core": {"gradio", "sqlalchemy", "alembic", "plotly", "fastapi", "starlette", "uvicorn"},
    "storage": {"gradio", "plotly", "fastapi", "starlette", "uvicorn", "torch", "diffusers", "transformers"},
    "app": set(),
}
LIGHT = ("core.config", "core.errors", "core.events", "core.plan", "core.models.registry", "core.rewards.registry")
LIGHT += ("app.api_reliability", "app.measure_command", "app.reliability_science", "app.reliability_figures")
LIGHT += ("app.services", "app.recorder", "app.worker", "app.supervisor", "app.serve", "app.search", "app.__main__")


def modules(house: str) -> list[Path]:
    return sorted((ROOT / house).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("house", ALLOWED)
def test_imports_run_from_app_to_storage_to_core(house: str) -> None:
    assert modules(house)
    for path in modules(house):
        tops = {name.partition(".")[0] for name in imported(path)}
        assert not (tops & ALLOWED.keys()) - ALLOWED[house], path
        assert not tops & FORBIDDEN[house], path
        assert "tests" not in tops, path


@pytest.mark.parametrize("house", ALLOWED)
def test_modules_stay_readable(house: str) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in modules(house)
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert not long


def loads_torch(module: str) -> bool:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode != 0


def test_the_web_process_never_imports_torch() -> None:
    assert not loads_torch("app.server")


def test_what_the_web_process_uses_imports_no_torch() -> None:
    assert not loads_torch(", ".join(LIGHT))
