"""Page Sweep: settings varied over prompts and seeds, and records side by side. Drawn by sweep.js from /lab/api."""

from typing import TYPE_CHECKING, Any

from app.prompt_sets import prompt_sets
from app.sweep_config import MAX_RUNS, MAX_VALUES
from app.sweep_kinds import FINE_TUNES, SEARCHES
from app.sweep_offers import settings_offered
from app.ui.document import document
from app.ui.form import ARM_LABELS, EXAMPLES
from core.config import ARMS, ExploreConfig, SearchConfig
from core.prompts import GENERATED, prompt_set_names
from core.train_config import TrainConfig
from core.train_help import PRESET_HELP

if TYPE_CHECKING:
    from app.services import Lab

STYLES = ("lab", "shell", "doors", "charts", "asked", "sweep")
TOLD = ("name", "title", "help", "usable", "why_not")


def page(lab: "Lab") -> str:
    """The page's document, with everything that its form offers of either kind of runs."""
    options = lab.options()
    lists = {kind: [{name: one[name] for name in TOLD} for one in options[kind]] for kind in ("models", "rewards")}
    facts: dict[str, Any] = lists | {
        "kinds": {SEARCHES.name: _searches(lab), FINE_TUNES.name: _fine_tunes(lab)},
        "sets": [{"name": one.name, "help": one.help, "prompts": one.prompts} for one in prompt_sets().values()],
        "arms": [{"name": arm, "title": ARM_LABELS[arm]} for arm in ARMS],
        "most": {"runs": MAX_RUNS, "values": MAX_VALUES},
    }
    return document("sweep", "Sweep", facts, styles=STYLES)


def _searches(lab: "Lab") -> dict[str, Any]:
    usual = ExploreConfig("-")
    return {
        "title": "Searches",
        "settings": settings_offered(lab, SEARCHES),
        "presets": [{"name": one["name"], "help": one["help"]} for one in lab.options()["presets"]],
        "first": {"setting": "search.num_candidates", "values": "3, 5, 9"},
        "usual": {
            "prompts": list(EXAMPLES[:3]),
            "seeds": 2,
            "preset": SearchConfig.preset,
            "model": usual.model,
            "reward": next(iter(usual.rewards)),
            "watched": [name for name, weight in usual.rewards.items() if not weight],
            "arms": ["no_search"],
        },
    }


def _fine_tunes(lab: "Lab") -> dict[str, Any]:
    usual = TrainConfig()
    return {
        "title": "Fine-tunes",
        "settings": settings_offered(lab, FINE_TUNES),
        "presets": [{"name": name, "help": text} for name, text in PRESET_HELP.items()],
        "first": {"setting": "learning_rate", "values": "3e-4, 6e-4, 1.2e-3"},
        "learned": [{"name": name, "title": GENERATED.get(name, name)} for name in prompt_set_names()],
        "usual": {
            "seeds": 3,
            "preset": usual.preset,
            "model": usual.model,
            "prompt_set": usual.prompt_set,
            "watched": list(usual.rewards),
        },
    }
