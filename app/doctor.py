"""`doctor`: what this machine has of what the lab needs, in lines that can be pasted into a question."""

from collections.abc import Sequence
from pathlib import Path

from app.presence import device_facts
from app.settings import Settings, default_threads
from app.status import as_text, collect, device_text


def doctor(settings: Settings, model: str | None = None, rewards: Sequence[str] = ()) -> int:
    """Print the report; 0 when a default session could run, else 1. With a model or rewards it is about those.

    Raises ConfigError for an unknown one.
    """
    if model or rewards:
        return _examine(settings, model or "shapes-sd3", rewards)
    facts = collect(settings)
    print(as_text(facts, _device(settings.device)), end="")
    return 0 if facts["ready"] and facts["database"]["healthy"] else 1


def _device(wanted: str) -> str:
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported: {error}"
    return device_text(device_facts(wanted, torch), wanted)


def _examine(settings: Settings, model: str, rewards: Sequence[str]) -> int:
    import torch

    from app.examine import Machine, examine
    from app.toolbox import place_of_device
    from core.ceiling import matrix_product_rate
    from core.models.placement import dtype_on, free_memory

    torch.set_num_threads(default_threads())
    device = place_of_device(settings.device)
    machine = Machine(
        device=torch.device(device).type,
        free=free_memory(device),
        rate=lambda dtype: matrix_product_rate(device, dtype),
        dtype_of=lambda spec: dtype_on(spec, device),
        seconds_per_nfe=lambda name: _measured(settings, name),
    )
    lines, fine = examine(model, rewards, machine)
    print(
        "\n".join(
            [f"device     {_device(settings.device)}", *lines, f"ready      {'yes' if fine else 'no: see above'}"]
        )
    )
    return 0 if fine else 1


def _measured(settings: Settings, model: str) -> float | None:
    """What a velocity evaluation of a model took in sessions here; it only looks, and makes no data folder."""
    from app.services import Lab

    if settings.database_url is None and not Path(settings.database).exists():
        return None
    lab = Lab(settings)
    try:
        return lab.measured_rate(model)
    finally:
        lab.close()
