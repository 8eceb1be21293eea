"""Page Reliability: where the guess that a search climbs can be trusted. Drawn by reliability.js from /lab/api."""

from typing import TYPE_CHECKING, Any

from app.prompt_sets import prompt_sets
from app.ui.document import document
from core.config import FIELD_HELP, STEP_KINDS, ExploreConfig
from core.measure_config import ESTIMATE_HELP, MAX_SIBLINGS, START_RANGE, MeasureConfig

if TYPE_CHECKING:
    from app.services import Lab

STYLES = ("lab", "shell", "charts", "doors", "asked", "reliability")
TOLD = ("name", "title", "help", "usable", "why_not")
HELP = FIELD_HELP | {
    "reward": "The score whose guess is put to the test.",
    "held_out": "Scored beside it and never climbed: a window is recommended only where they gain too.",
    "num_siblings": "Noises tried from one and the same place, at every timestep. Each is followed to its real end.",
    "num_elites": "How many of the siblings a search would keep.",
    "seeds": "How many starting noises a prompt gets; or a list of seeds, such as 0, 7, 12.",
    "steps": "Empty: all but the last, where the guess is the truth. Or some, counted from 1: 3-8, or 2, 5, 9.",
    "start_sigma": "1 starts with noise alone. Below, the walk starts from a picture under that much noise.",
    "estimates": "Ways to guess the final picture of a candidate. All see the same candidates.",
}


def page(lab: "Lab") -> str:
    """The page's document, with everything that its form offers."""
    return document("reliability", "Reliability", facts(lab), styles=STYLES)


def facts(lab: "Lab") -> dict[str, Any]:
    """Choices with their help, the prompt sets, and what the form starts with."""
    options, usual, own = lab.options(), ExploreConfig("-"), MeasureConfig(("-",))
    return {
        "models": [{name: one[name] for name in TOLD} for one in options["models"]],
        "rewards": [{name: one[name] for name in TOLD} for one in options["rewards"]],
        "sets": [{"name": one.name, "help": one.help, "prompts": one.prompts} for one in prompt_sets().values()],
        "estimates": [{"name": name, "help": text} for name, text in ESTIMATE_HELP.items()],
        "step_kinds": [kind for kind in STEP_KINDS if kind != "ode"],
        "help": HELP,
        "start": {"low": START_RANGE[0], "high": START_RANGE[1]},
        "most": {"num_siblings": MAX_SIBLINGS},
        "defaults": {
            "model": usual.model,
            "reward": next(iter(usual.rewards)),
            "held_out": [name for name, weight in usual.rewards.items() if not weight],
            "num_siblings": own.num_siblings,
            "num_elites": own.num_elites,
            "estimates": own.estimates,
            "num_steps": usual.num_steps,
            "step_kind": usual.step_kind,
        },
    }
