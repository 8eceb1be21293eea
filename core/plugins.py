"""Plug-ins: a Python file of your own that brings rewards, presets, searches and models for one start of the lab.

    # redness.py
    from core.plugins import register_reward

    def make(device):
        import torch                              # here, not above: the web process runs this file too
        def redness(images, prompts):             # (B, 3, H, W) in [0, 1], B prompts -> B numbers
            return images[:, 0].mean((1, 2)) - images[:, 1:].mean((1, 2, 3))
        return redness

    register_reward("redness", make, help="How much more red than green and blue.", range=(-1, 1))

The file is executed in every process of the lab; factories are called only where something is computed. Standard
library only, so that the web process can register without torch.
"""

import re
import sys
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.config import (
    PRESET_HELP,
    PRESET_SESSION,
    PRESETS,
    ExploreConfig,
    SearchConfig,
    preset_session,
    problems_of,
)
from core.errors import LabError, PluginError
from core.models import registry as models
from core.rewards import registry as rewards
from core.search import registry as searches

if TYPE_CHECKING:
    from core.search.protocol import Algorithm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_registered: list[tuple[str, str]] = []  # (kind, name) in order, since the process began
_loaded: dict[Path, "Plugin"] = {}


@dataclass(frozen=True)
class Plugin:
    """A file that was loaded: what it brought, as (kind, name), and whether it pulled in torch by itself."""

    path: Path
    brought: tuple[tuple[str, str], ...]
    imports_torch: bool


def register_reward(
    name: str,
    factory: Callable[[str], Callable[..., Any]],
    *,
    help: str,
    title: str = "",
    range: tuple[float | None, float | None] = (None, None),
    learned: bool = False,
    any_prompt: bool = True,
) -> None:
    """Bring a reward: `factory(device)` gives a function of pictures (B, 3, H, W) in [0, 1] and B prompts to B numbers.

    A higher number is better; one that is not finite means "no verdict". The same picture and prompt must always score
    the same, whatever else is in the batch. `range` holds the lowest and highest possible score, None where there is no
    bound; `learned` rewards can be fooled; without `any_prompt` only captions of the embedded world are judged.
    """
    _check("reward", name, rewards.REWARDS, help, title=title, factory=factory)
    low, high = _bounds(range)
    prompts: Literal["any", "shapes"] = "any" if any_prompt else "shapes"
    spec = rewards.RewardSpec(name, title or name, help, (low, high), "plugin", bool(learned), prompts)
    rewards.add(spec, factory)
    _registered.append(("reward", name))


def register_model(
    name: str,
    factory: Callable[[str], Any],
    *,
    help: str,
    height: int,
    width: int,
    title: str = "",
    guidance_scale: float = 4.5,
    guidance_pair: bool = True,
) -> None:
    """Bring a model: `factory(device)` gives an object as `core.models.protocol.FlowModel` describes it.

    `height` and `width` are its pictures' in pixels, `guidance_scale` what it is usually run at, `guidance_pair` says
    that guidance above 1 costs two forwards a sample.
    """
    _check("model", name, models.MODELS, help, title=title, factory=factory)
    for what, size in (("height", height), ("width", width)):
        if type(size) is not int or size < 1:
            raise PluginError(f"{what}: expected a number of pixels, got {size!r:.60}")
    spec = models.ModelSpec(
        id=name,
        title=title or name,
        help=help,
        family="plugin",
        source="",
        embedded=False,
        height=height,
        width=width,
        guidance_scale=guidance_scale,
        max_sequence_length=0,
        guidance_pair=bool(guidance_pair),
    )
    models.add(spec, factory)
    _registered.append(("model", name))


def register_search(name: str, factory: Callable[[], "Algorithm"]) -> None:
    """Bring a search: `factory()` gives an object with start, ask, tell and result as `core.search.cem` has them.

    See `core.search.protocol.Algorithm`. It is chosen by a preset that names it as its `algorithm`.
    """
    _check("search", name, searches.ALGORITHMS, "", factory=factory)
    searches.ALGORITHMS[name] = factory
    _registered.append(("search", name))


def register_preset(name: str, *, help: str, **given: Any) -> None:
    """Bring a preset: search settings by name (num_candidates, num_iterations, algorithm, ...) over the usual ones.

    `search_initial`, `window_min`, `window_max` and `estimator` may be given as well: where the preset searches, and
    by which guess.
    """
    _check("preset", name, PRESETS, help)
    known = {one.name for one in fields(SearchConfig)} - {"preset"}
    places = preset_session("").keys()
    unknown = sorted(given.keys() - known - places)
    if unknown:
        raise PluginError(f"{', '.join(unknown)}: expected some of {', '.join(sorted(known | places))}")
    search = SearchConfig(name, **{one: value for one, value in given.items() if one in known})
    session = {one: value for one, value in given.items() if one in places}
    problems = problems_of(ExploreConfig("-", search=search, **session))
    fine, why = searches.usable(search.algorithm)
    if not fine:
        problems["search.algorithm"] = f"{why}: register a search before the preset that uses it"
    if problems:
        raise PluginError("; ".join(f"{field.removeprefix('search.')}: {text}" for field, text in problems.items()))
    PRESETS[name], PRESET_HELP[name] = search, help
    if session:
        PRESET_SESSION[name] = session
    _registered.append(("preset", name))


def load_plugin(path: str | Path) -> Plugin:
    """Execute a plug-in file, once a process. Raises PluginError, with file and line, for whatever is wrong with it."""
    file = Path(path).expanduser().resolve()
    if file not in _loaded:
        _loaded[file] = _load(file)
    return _loaded[file]


def _load(file: Path) -> Plugin:
    before, had_torch = len(_registered), "torch" in sys.modules
    module = types.ModuleType(f"lab_plugin_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up by name
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    except OSError as error:
        raise PluginError(f"{file}: cannot be read: {error.strerror or error}") from error
    except SyntaxError as error:
        raise PluginError(f"{file}, line {error.lineno or 1}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        place = f"{file}, line {lines[-1]}" if lines else str(file)
        what = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        raise PluginError(f"{place}: {what}") from error
    brought = tuple(_registered[before:])
    if not brought:
        raise PluginError(f"{file}: registers nothing: expected a call of register_reward, _preset, _search or _model")
    return Plugin(file, brought, "torch" in sys.modules and not had_torch)


def _check(kind: str, name: Any, known: Any, help: Any, *, title: Any = "", factory: Any = None) -> None:
    """What every registration must keep to. Raises PluginError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(f"a {kind}'s name is expected to be of letters, digits, '.', '_' and '-', got {name!r:.60}")
    if name in known:
        raise PluginError(f"there is a {kind} named {name} already: choose another name")
    if factory is not None and not callable(factory):
        raise PluginError(f"{name}: its factory is expected to be a function, got {type(factory).__name__}")
    for what, text in (("help", help), ("title", title)):
        if not isinstance(text, str):
            raise PluginError(f"{name}: {what} is expected to be text, got {type(text).__name__}")


def _bounds(given: Any) -> tuple[float | None, float | None]:
    fine = isinstance(given, tuple | list) and len(given) == 2
    if not fine or any(not (one is None or isinstance(one, int | float)) for one in given):
        raise PluginError(f"range: expected the lowest and highest score, None for no bound, got {given!r:.60}")
    low, high = given
    if low is not None and high is not None and not low < high:
        raise PluginError(f"range: expected the lower bound first, got {given!r:.60}")
    return low, high
