"""Page Sweep: settings varied over prompts and seeds, and records side by side. Drawn by sweep.js from /lab/api."""

from typing import TYPE_CHECKING, Any

from app.prompt_sets import prompt_sets
from app.sweep_config import MAX_RUNS, MAX_VALUES
from app.sweeps import settings_offered
from app.ui.document import document
from app.ui.form import ARM_LABELS, EXAMPLES
from core.config import ARMS, ExploreConfig, SearchConfig

if TYPE_CHECKING:
    from app.services import Lab

STYLES = ("lab", "shell", "charts", "asked", "sweep")
TOLD = ("name", "title", "help", "usable", "why_not")


def page(lab: "Lab") -> str:
    """The page's document, with everything that its form offers."""
    options, usual = lab.options(), ExploreConfig("-")
    lists = {kind: [{name: one[name] for name in TOLD} for one in options[kind]] for kind in ("models", "rewards")}
    presets = [{"name": one["name"], "help": one["help"]} for one in options["presets"]]
    facts: dict[str, Any] = lists | {
        "presets": presets,
        "settings": settings_offered(lab),
        "sets": [{"name": one.name, "help": one.help, "prompts": one.prompts} for one in prompt_sets().values()],
        "arms": [{"name": arm, "title": ARM_LABELS[arm]} for arm in ARMS],
        "most": {"runs": MAX_RUNS, "values": MAX_VALUES},
        "usual": {
            "prompts": list(EXAMPLES[:3]),
            "preset": SearchConfig.preset,
            "model": usual.model,
            "reward": next(iter(usual.rewards)),
            "watched": [name for name, weight in usual.rewards.items() if not weight],
            "arms": ["no_search"],
        },
    }
    return document("sweep", "Sweep", facts, styles=STYLES)
