"""`doctor`: what this machine has of what the lab needs, in lines that can be pasted into a question."""

from app.presence import device_facts
from app.settings import Settings
from app.status import as_text, collect, device_text


def doctor(settings: Settings) -> int:
    """Print the report; 0 when a default session could run, else 1."""
    facts = collect(settings)
    print(as_text(facts, _device(settings.device)), end="")
    return 0 if facts["ready"] and facts["database"]["healthy"] else 1


def _device(wanted: str) -> str:
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported: {error}"
    return device_text(device_facts(wanted, torch), wanted)
