"""What one model and its rewards need of this machine: what is there, what is missing, and what a search will take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.downloads import find_offer, is_here
from app.progress import nfe_per_velocity
from core import plan
from core.config import ExploreConfig
from core.errors import ConfigError, ModelError
from core.models import registry as models
from core.models.memory import DType, Need, gigabytes, must_swap, need
from core.models.registry import ModelSpec
from core.rewards import registry as rewards
from core.schedule import shifted


@dataclass(frozen=True)
class Machine:
    """A device: cpu, cuda or mps, its free bytes, and how many operations a second its matrix products reach in a type.

    `dtype_of` says in which type a model's weights are loaded, `seconds_per_nfe` what a model's velocity evaluations
    took in sessions here (None before any).
    """

    device: str
    free: int
    rate: Callable[[str], float]
    dtype_of: Callable[[ModelSpec], DType]
    seconds_per_nfe: Callable[[str], float | None]


def examine(model: str, names: Sequence[str], machine: Machine) -> tuple[list[str], bool]:
    """Lines about a model and rewards, and whether a default search with them could run here. Raises ConfigError."""
    spec = models.find(model)
    if spec is None:
        raise ConfigError({"model": models.usable(model)[1]})
    unknown = [name for name in names if rewards.find(name) is None]
    if unknown:
        raise ConfigError({"reward": rewards.usable(unknown[0])[1]})
    config = replace(ExploreConfig("-"), model=spec.id, guidance_scale=spec.guidance_scale)
    lines, here = _of_model(spec)
    dtype = machine.dtype_of(spec)
    taken = sum(found.memory for name in names if (found := rewards.find(name))) * 10**6
    memory, fits = _memory(spec, dtype, replace(machine, free=machine.free - taken))
    lines += [memory, *_search(spec, config, dtype, machine)]
    for name in names:
        told, fine = _of_reward(name)
        lines, here = lines + told, here and fine
    return lines, here and fits


def _of_model(spec: ModelSpec) -> tuple[list[str], bool]:
    what = [f"{spec.width}x{spec.height}", f"guidance {spec.guidance_scale:g}", f"{spec.num_steps} steps by its makers"]
    kind = [spec.pipeline_class] if spec.pipeline_class else []
    lines = [
        _line("model", f"{spec.title} ({spec.id})"),
        _line("", ", ".join([*kind, *what, f"noise levels {spec.schedule}"])),
    ]
    if spec.pipeline_class:
        lines.append(_line("lora", f"on {', '.join(spec.lora_targets)}"))
    told, here = _availability(spec.id)
    return lines + told, here


def _of_reward(name: str) -> tuple[list[str], bool]:
    spec = rewards.find(name)
    assert spec is not None  # examine has looked
    told, here = _availability(name)
    weights = [_line("memory", f"{gigabytes(spec.memory * 1e6)} of weights in float32")] if spec.memory else []
    return [_line("reward", f"{spec.title} ({name}): {spec.help}"), *told, *weights], here


def _availability(name: str) -> tuple[list[str], bool]:
    """Whether it is here, and if not what fetches it under which licence."""
    here, why = is_here(name)
    offer = find_offer(name)
    if offer is None:
        return [_line("here", "yes" if here else f"no: {why}")], here
    lines = [_line("here", "yes" if here else f"no: {why.partition('; `')[0]}")]
    if offer.licence:
        gated = f", to be read and accepted at {offer.page} before its files can be fetched" if offer.gated else ""
        lines.append(_line("licence", offer.licence + gated))
    if not here:
        accept = " --accept-licence" if offer.gated else ""
        size = gigabytes(offer.megabytes * 1e6)
        lines.append(_line("to get it", f"`python -m app download {name}{accept}`, about {size}"))
    return lines, here


def _memory(spec: ModelSpec, dtype: DType, machine: Machine) -> tuple[str, bool]:
    """What the model takes of what its rewards leave free, and whether it fits."""
    needed = need(spec, dtype)
    if not needed.weights:
        return _line("memory", "not known before it is loaded"), True
    try:
        swaps = must_swap(spec, dtype, machine.free, machine.device)
    except ModelError as error:
        return _line("memory", str(error)), False
    turns = "; text encoders and transformer take turns" if swaps else ""
    size = needed.swapped if swaps else needed.whole
    return _line(
        "memory",
        f"{gigabytes(size)} of {gigabytes(machine.free)} on {machine.device}, in {dtype}{_parts(needed)}{turns}",
    ), True


def _parts(needed: Need) -> str:
    return (
        f" (transformer {gigabytes(needed.transformer)}, text encoders {gigabytes(needed.text)}, "
        f"{gigabytes(needed.sample)} more a sample)"
    )


def _search(spec: ModelSpec, config: ExploreConfig, dtype: DType, machine: Machine) -> list[str]:
    """A default search and its arms: evaluations, and the seconds they took here before, or take at least."""
    pair, sigmas = nfe_per_velocity(config), shifted(config.num_steps)
    search, whole = plan.search_nfe(config, sigmas, pair), plan.total_nfe(config, sigmas, pair)
    lines = [
        _line("search", f"{whole} velocity evaluations by default, {search} of them the search, the others its arms")
    ]
    known = machine.seconds_per_nfe(spec.id)
    if known is not None:
        return [*lines, _line("time", f"about {_duration(known * whole)}, as its sessions took here")]
    if not spec.gflops:
        return [*lines, _line("time", "known after its first session here")]
    work, rate = 1e9 * spec.gflops * whole, machine.rate(dtype)
    told = (
        f"{_duration(work / rate)} at the very least: {work / 1e12:,.1f} TFLOP at the {rate / 1e12:.2g} TFLOP/s that "
        f"{dtype} matrix products reach here; decoding and rewards come on top"
    )
    return [*lines, _line("time", told)]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _line(name: str, text: str) -> str:
    return f"{name:<10} {text}"
