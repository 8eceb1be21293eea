"""Page Library: everything the lab has run, to be found, named, tagged and thrown away. Drawn by library.js."""

from typing import TYPE_CHECKING

from app.backup import WHOLE, why_not
from app.ui.document import document
from core.models.registry import ALIASES, MODELS
from core.rewards.registry import REWARDS

if TYPE_CHECKING:
    from app.services import Lab


def page(lab: "Lab") -> str:
    """The page's document, with the titles that its filters show and what a backup is."""
    titles = {spec.id: spec.title for spec in MODELS.values()}
    titles |= {name: titles[id] for name, id in ALIASES.items()}
    rewards = {spec.name: spec.title for spec in REWARDS.values()}
    facts = {"models": titles, "rewards": rewards, "backup": {"whole": WHOLE, "why_not": why_not(lab.settings)}}
    return document("library", "Library", facts, styles=("lab", "shell", "doors", "library"))
