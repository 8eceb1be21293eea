"""Page Compare: two to six records side by side. Drawn by side.js from /lab/api/compare."""

from app.compare_style import LETTERS
from app.ui.document import document
from core.models.registry import ALIASES, MODELS

STYLES = ("lab", "shell", "doors", "charts", "asked", "side")


def page() -> str:
    """The page's document; which records are compared stands in its address."""
    titles = {spec.id: spec.title for spec in MODELS.values()}
    titles |= {name: titles[id] for name, id in ALIASES.items()}
    return document("side", "Compare", {"letters": LETTERS, "models": titles}, styles=STYLES)
