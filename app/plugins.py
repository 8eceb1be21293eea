"""Plug-in files for one start: named by `--plugin` and LAB_PLUGINS, loaded by every process of the lab."""

import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TextIO

from core.errors import LabError
from core.plugins import Plugin, load_plugin

VARIABLE = "LAB_PLUGINS"
PROMPTS = ("a photo of a red circle", "a photo of two blue squares", "a photo of a green star left of a black circle")


def load_plugins(
    flags: Sequence[str], environ: MutableMapping[str, str] = os.environ, *, without_torch: bool = False
) -> list[Plugin]:
    """Load the files of the environment and of the flags, and leave their names to processes started from here.

    `without_torch` says that this process would rather stay without it: a file that imports it anyway is told. Raises
    PluginError, with file and line.
    """
    named = [*filter(None, environ.get(VARIABLE, "").split(os.pathsep)), *flags]
    files = list(dict.fromkeys(str(Path(name).expanduser().resolve()) for name in named))
    loaded = [load_plugin(file) for file in files]
    if files:
        environ[VARIABLE] = os.pathsep.join(files)
    for plugin in loaded if without_torch else []:
        if plugin.imports_torch:
            print(torch_warning(plugin), file=sys.stderr, flush=True)
    return loaded


def torch_warning(plugin: Plugin) -> str:
    """What it costs to import torch where only names are registered."""
    return (
        f"{plugin.path} imports torch at its top level, so the web process holds hundreds of MB that it never uses: "
        "import it inside the factory"
    )


def check_plugin(path: Path, device: str, out: TextIO) -> int:
    """Load a plug-in, make what it brings, and check each part; 0 when all is well, else 1. Raises PluginError."""
    plugin = load_plugin(path)
    if plugin.imports_torch:
        print(f"note: {torch_warning(plugin)}", file=out)
    wrong = 0
    for kind, name in plugin.brought:
        try:
            found = _violations(kind, name, device)
        except LabError as error:
            found = [str(error)]
        wrong += len(found)
        print(f"{kind} {name}: {'; '.join(found) or 'sound'}", file=out, flush=True)
    return 1 if wrong else 0


def _violations(kind: str, name: str, device: str) -> list[str]:
    """What one registered part does wrong. Imports torch."""
    import torch

    from app.toolbox import place_of_device

    place = place_of_device(device)
    if kind == "reward":
        from core.rewards import conformance, registry

        spec = registry.REWARDS[name]
        images = torch.rand(len(PROMPTS), 3, 64, 64, generator=torch.Generator().manual_seed(0))
        reward = registry.load_reward(name, device=place)
        return conformance.violations(reward, images, PROMPTS, bounds=spec.range, finite=spec.any_prompt)
    if kind == "model":
        from core.models.conformance import violations
        from core.models.registry import load_model

        return violations(load_model(name, device=place), name)
    if kind == "search":
        from core.search.conformance import violations as search_violations
        from core.search.registry import load_algorithm

        return search_violations(load_algorithm(name))
    return []  # a preset is checked where it is registered
