"""Plug-ins: what they can bring, how their mistakes are told, and that nothing is loaded before it is needed."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from app.plugins import check_plugin, load_plugins
from app.services import Lab
from app.settings import ROOT, Settings
from core import config, plugins
from core.config import PRESET_HELP, PRESET_SESSION, PRESETS, ExploreConfig, SearchConfig
from core.errors import PluginError, RewardError, SearchError
from core.events import ArmFinished, IterationScored
from core.explore import explore
from core.models import conformance as model_conformance
from core.models import registry as models
from core.plugins import load_plugin
from core.rewards import conformance as reward_conformance
from core.rewards import registry as rewards
from core.search import cem
from core.search import conformance as search_conformance
from core.search import registry as searches
from tests import tiny

EXAMPLE = ROOT / "tests" / "plugins" / "example.py"


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins and ends with what the lab brings itself."""
    for owner, name in (
        (rewards, "REWARDS"),
        (rewards, "_factories"),
        (models, "MODELS"),
        (models, "_factories"),
        (searches, "ALGORITHMS"),
        (plugins, "_loaded"),
    ):
        monkeypatch.setattr(owner, name, dict(getattr(owner, name)))
    kept = [(known, dict(known)) for known in (PRESETS, PRESET_HELP, PRESET_SESSION)]
    yield
    for known, before in kept:
        known.clear()
        known.update(before)


def written(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text("from core.plugins import *\n" + text)
    return path


def test_the_example_brings_what_a_session_can_use() -> None:
    brought = load_plugin(EXAMPLE).brought
    assert brought == (("reward", "redness"), ("search", "keep-spread"), ("preset", "slow-search"), ("model", "flat"))
    chosen = ExploreConfig(
        "something red", model="flat", num_steps=5, search=PRESETS["slow-search"], rewards={"redness": 1.0}, arms=()
    )
    loaded = {"redness": rewards.load_reward("redness")}
    events = list(explore(config.from_dict(config.to_dict(chosen)), models.load_model("flat"), loaded))
    scored = [event for event in events if isinstance(event, IterationScored)]
    spreads = [event.std_quantiles[2] for event in scored if event.step == scored[0].step]
    assert len(spreads) == 8 and spreads[0] == 1.0
    assert all(a > b > a / 2 for a, b in pairwise(spreads))
    final = next(event for event in events if isinstance(event, ArmFinished))
    assert 0 < final.rewards["redness"] <= 1


def test_a_plug_in_is_offered_like_what_the_lab_brings(tmp_path: Path) -> None:
    load_plugin(EXAMPLE)
    lab = Lab(Settings(tmp_path / "data", recorded=None))
    try:
        options = lab.options()
        offered = {kind: {one["name"]: one for one in options[kind]} for kind in ("models", "rewards", "presets")}
        assert offered["rewards"]["redness"]["usable"] and offered["models"]["flat"]["usable"]
        assert offered["presets"]["slow-search"]["search"]["algorithm"] == "keep-spread"
        plain = {
            "prompt": "a cat",
            "model": "flat",
            "rewards": {"redness": 1.0},
            "search": vars(PRESETS["slow-search"]),
        }
        assert lab.read_config(plain).search.algorithm == "keep-spread"
        assert lab.cost_estimate(plain)["nfe"] > 0
    finally:
        lab.close()


def test_it_is_loaded_once() -> None:
    assert load_plugin(EXAMPLE) is load_plugin(str(EXAMPLE))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (\n", r"mine.py, line 2: '\(' was never closed"),
        ("\n\n1 / 0\n", "mine.py, line 4: ZeroDivisionError: division by zero"),
        ("def f():\n    import nothing_of_that_name\nf()", "line 3: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "line 2: SystemExit: 3"),
        ("x = 1", "registers nothing: expected a call of register_reward"),
        ("register_reward('shapes-clip', print, help='x')", "line 2: there is a reward named shapes-clip already"),
        ("for _ in 'ab':\n  register_reward('a', print, help='x')", "line 3: there is a reward named a already"),
        ("register_reward('a b', print, help='x')", "name is expected to be of letters"),
        ("register_reward(7, print, help='x')", "name is expected to be of letters.* got 7"),
        ("register_reward('a', 'b', help='x')", "a: its factory is expected to be a function, got str"),
        ("register_reward('a', print, help=5)", "a: help is expected to be text, got int"),
        ("register_reward('a', print, help='x', range=(1, 0))", r"expected the lower bound first, got \(1, 0\)"),
        ("register_reward('a', print, help='x', range=1)", "range: expected the lowest and highest"),
        ("register_reward('a', print)", "TypeError: .*missing 1 required keyword-only argument: 'help'"),
        ("register_preset('no-search', help='x')", "there is a preset named no-search already"),
        (
            "register_preset('a', help='x', num_candidates=0)",
            "num_candidates: expected a whole number from 1 to 256, got 0",
        ),
        ("register_preset('a', help='x', candidates=3)", "candidates: expected some of algorithm, elite_fraction"),
        (
            "register_preset('a', help='x', algorithm='b')",
            "searches cem, got 'b': register a search",
        ),
        ("register_model('a', print, help='x', height=0, width=8)", "height: expected a number of pixels, got 0"),
        ("register_search('cem', print)", "there is a search named cem already"),
    ],
)
def test_mistakes_are_told_with_file_and_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(PluginError, match=sentence) as caught:
        load_plugin(written(tmp_path, text))
    assert "mine.py" in str(caught.value)


def test_files_that_are_no_plug_ins_are_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="none.py: cannot be read: No such file"):
        load_plugin(tmp_path / "none.py")
    with pytest.raises(PluginError, match="cannot be read: Is a directory"):
        load_plugin(tmp_path)
    (tmp_path / "bytes.py").write_bytes(b"\xff\x00")
    with pytest.raises(PluginError, match="bytes.py"):
        load_plugin(tmp_path / "bytes.py")


def test_a_factory_that_fails_fails_only_when_it_is_asked(tmp_path: Path) -> None:
    text = "def broken(device): raise OSError('no weights')\nregister_reward('a', broken, help='x')\n"
    load_plugin(written(tmp_path, text + "register_reward('b', lambda device: 5, help='x')\n"))
    with pytest.raises(RewardError, match="a: its factory failed with OSError: no weights"):
        rewards.load_reward("a")
    with pytest.raises(RewardError, match="b: its factory is expected to return a function, got int"):
        rewards.load_reward("b")
    with pytest.raises(SearchError, match="expected one of the searches cem, got 'a'"):
        searches.load_algorithm("a")


def test_a_preset_may_say_where_it_searches(tmp_path: Path) -> None:
    text = "register_preset('early', help='x', search_initial=True, window_min=0.7, window_max=1.0)"
    load_plugin(written(tmp_path, text))
    early, usual = config.preset_session("early"), config.preset_session("smart-grpo")
    assert early == usual | {"search_initial": True, "window_min": 0.7, "window_max": 1.0}
    assert usual == {"search_initial": False, "window_min": 0.3, "window_max": 0.8, "estimator": "one_step"}


def test_flags_and_environment_name_files_once_and_hand_them_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    one, two = (written(tmp_path, f"register_search('s{n}', print)", f"p{n}.py") for n in (1, 2))
    environ = {"LAB_PLUGINS": f"{one}"}
    loaded = load_plugins([str(two), str(one)], environ, without_torch=True)
    assert [plugin.path.name for plugin in loaded] == ["p1.py", "p2.py"]
    assert environ == {"LAB_PLUGINS": f"{one}:{two}"} and capsys.readouterr().err == ""
    empty: dict[str, str] = {}
    assert load_plugins([], empty) == [] and empty == {}


def test_registering_needs_no_torch_and_importing_it_is_told() -> None:
    code = (
        "import sys; from app.__main__ import load_plugins\n"
        "load_plugins(sys.argv[1:], without_torch=True); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code, EXAMPLE], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (told.stdout, told.stderr) == ("False\n", "")


def test_a_file_that_imports_torch_works_and_says_what_that_costs(tmp_path: Path) -> None:
    path = written(tmp_path, "import torch\nregister_search('s', print)")
    code = "import sys; from app.__main__ import load_plugins\nload_plugins(sys.argv[1:], without_torch=True)"
    told = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and "imports torch at its top level" in told.stderr


def test_the_suite_finds_the_example_sound(capsys: pytest.CaptureFixture) -> None:
    assert check_plugin(EXAMPLE, "cpu", sys.stdout) == 0
    assert capsys.readouterr().out.splitlines() == [
        "reward redness: sound",
        "search keep-spread: sound",
        "preset slow-search: sound",
        "model flat: sound",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "register_reward('a', lambda d: lambda x, p: x.mean((1, 2, 3)) * 9, help='x', range=(0, 1))",
            "it leaves its range",
        ),
        (
            "register_reward('a', lambda d: lambda x, p: x.mean((1, 2, 3)) / 0, help='x')",
            "none of its scores is a finite",
        ),
        ("register_reward('a', lambda d: lambda x, p: x.mean(), help='x')", "expected one number an image"),
        ("register_reward('a', lambda d: 1 / 0, help='x')", "its factory failed with ZeroDivisionError"),
        ("register_search('a', lambda: 5)", "it lacks start, ask, tell, result"),
        ("register_model('a', lambda d: 5, help='x', height=8, width=8)", "it lacks id, latent_shape"),
    ],
)
def test_the_suite_says_what_is_wrong(tmp_path: Path, text: str, complaint: str, capsys: pytest.CaptureFixture) -> None:
    assert check_plugin(written(tmp_path, text), "cpu", sys.stdout) == 1
    assert complaint in capsys.readouterr().out


def test_the_lab_s_own_parts_are_sound() -> None:
    assert search_conformance.violations(cem) == []
    assert model_conformance.violations(tiny.sd3_model(), "tiny-sd3") == []
    assert model_conformance.violations(tiny.flux_model(), "tiny-flux") == []
    pictures, prompts = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), ["a", "b"]
    assert reward_conformance.violations(tiny.clip_reward(), pictures, prompts, bounds=(-1, 1), finite=True) == []


def test_models_that_break_a_rule_are_found() -> None:
    def broken(**changes: object) -> list[str]:
        model = tiny.sd3_model()
        for name, value in changes.items():
            setattr(model, name, value)
        return model_conformance.violations(model, "tiny-sd3")

    sound = tiny.sd3_model()
    calls = iter(range(100))
    assert any("calls itself" in text for text in model_conformance.violations(sound, "other"))
    assert any("fall from at most 1" in text for text in broken(sigmas=lambda count: (1.0, 0.0)))
    assert any("nfe is expected" in text for text in broken(nfe=lambda conditioning: 3))
    mean = lambda x, sigma, prompt: sound.velocity(x, sigma, prompt) + x.mean()  # noqa: E731
    assert any("else is in the batch" in text for text in broken(velocity=mean))
    counted = lambda x, sigma, prompt: sound.velocity(x, sigma, prompt) + next(calls)  # noqa: E731
    assert any("not repeatable" in text for text in broken(velocity=counted))
    assert any("depend on the prompt" in text for text in broken(velocity=lambda x, sigma, prompt: x * 1.0))
    assert any("expected to be float32" in text for text in broken(velocity=lambda x, sigma, prompt: x.double()))
    assert any("lie in [0, 1]" in text for text in broken(decode=lambda x: 2 * sound.decode(x)))
    assert any("failed with" in text for text in broken(decode=lambda x: 1 / 0))


def test_searches_that_break_a_rule_are_found() -> None:
    class Forgetful:
        """Changes the state it was given."""

        start, ask, result = staticmethod(cem.start), staticmethod(cem.ask), staticmethod(cem.result)

        @staticmethod
        def tell(state, noise, total, elites, *, min_std=0.0):
            state.search_mean.add_(1.0)
            return state

    assert "a state must never change" in search_conformance.violations(Forgetful())[0]
    short = type("Short", (Forgetful,), {"ask": staticmethod(lambda state, base: cem.ask(state, base)[:1])})
    assert "noises of shape (5, 4, 8, 8)" in search_conformance.violations(short())[0]
    bare = type("Bare", (Forgetful,), {"start": staticmethod(lambda shape: object())})
    assert "search_mean and search_std" in search_conformance.violations(bare())[0]


def test_an_unknown_search_is_told_before_anything_runs(tmp_path: Path) -> None:
    from core.errors import ConfigError

    lab = Lab(Settings(tmp_path / "data", recorded=None))
    try:
        with pytest.raises(ConfigError, match="expected one of the searches cem, got 'luck'"):
            lab.read_config({"prompt": "a photo of a red circle", "search": vars(SearchConfig(algorithm="luck"))})
    finally:
        lab.close()
