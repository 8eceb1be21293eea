"""How far a session has come and how long it may still take. Pure functions; no torch."""

from collections.abc import Sequence

from app.trained import spec_of
from core import plan
from core.config import ExploreConfig
from core.events import Cost
from core.measure_config import MeasureConfig
from core.schedule import shifted


def nfe_per_velocity(config: ExploreConfig) -> int:
    """Sample-forwards of one velocity: a guidance pair is 2."""
    spec = spec_of(config.model)
    return 2 if config.guidance_scale > 1 and (spec is None or spec.guidance_pair) else 1


def planned_nfe(config: ExploreConfig, sigmas: Sequence[float] | None = None) -> int:
    """What a session will spend in all; `sigmas` are its own once it has begun."""
    return plan.total_nfe(config, sigmas or shifted(config.num_steps), nfe_per_velocity(config))


def planned(config: MeasureConfig) -> Cost:
    """What a reliability measurement will cost in all; its seconds are not known."""
    return plan.measurement_cost(config, nfe_per_velocity(config.base))


def fraction(done: float, planned: float) -> float | None:
    """Progress from 0 to 1; None where nothing is planned."""
    return min(1.0, max(0.0, done / planned)) if planned > 0 else None


def seconds_left(
    *, done: float, planned: float, done_before: float | None, began: float | None, latest: float | None, now: float
) -> float | None:
    """How long the rest takes at the present attempt's pace; None as long as it has not got anywhere.

    The pace is what was done between the attempt's beginning and its latest result. Times are in seconds since 1970,
    the others in units of work.
    """
    if began is None or latest is None or done_before is None or latest <= began or done <= done_before:
        return None
    pace = (done - done_before) / (latest - began)
    return max(0.0, (planned - done) / pace - max(0.0, now - latest))
