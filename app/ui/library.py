"""Page Library: everything the lab has run, to be found, named, starred and thrown away. Drawn by library.js."""

from app.ui.document import document
from core.config import PRESETS
from core.models.registry import ALIASES, MODELS
from core.train_config import TRAIN_PRESETS


def page() -> str:
    """The page's document, with the names that its filters offer."""
    titles = {spec.id: spec.title for spec in MODELS.values()}
    titles |= {name: titles[id] for name, id in ALIASES.items()}
    return document("library", "Library", {"presets": list({**PRESETS, **TRAIN_PRESETS}), "models": titles})
