"""Asking for candidates to be rolled out to their final pictures ("finish from here")."""

from typing import Any

from sqlalchemy.orm import Session

from app.orders import name_of_step
from app.trained import usable
from core.config import MAX_CANDIDATES
from core.errors import LabError, NotFound
from core.rewards import registry as rewards
from storage import jobs, sessions
from storage.finishes import finished_candidates, lock_record, queued_candidates, stored_branch


def queue_finish(tx: Session, record_id: str, step: Any, iteration: Any, candidates: Any) -> int:
    """Queue the candidates of one round that are neither finished nor queued yet; returns how many that are.

    The session may run, be paused, have ended in any way, or be a recording. Raises NotFound for a session or a round
    that is not there, and LabError for candidates it does not have and where its model or a reward cannot be used.
    """
    if any(type(number) is not int or abs(number) >= 2**31 for number in (step, iteration)):
        raise LabError(f"a step and an iteration are expected to be whole numbers, got {step!r:.60}, {iteration!r:.60}")
    if lock_record(tx, record_id).deleted_at is not None:
        raise LabError("this session lies in the trash: restore it first")
    branch = stored_branch(tx, record_id, step, iteration)
    if branch is None:
        raise NotFound(f"this session has no iteration {iteration + 1} at {name_of_step(step)}")
    chosen = _checked(candidates, branch.num_candidates)
    known = finished_candidates(tx, record_id, step, iteration) | queued_candidates(tx, record_id, step, iteration)
    wanted = [candidate for candidate in chosen if candidate not in known]
    if wanted:
        check_usable(tx, record_id)
        payload = {"step": step, "iteration": iteration, "candidates": wanted}
        jobs.enqueue(tx, kind=jobs.FINISH, record_id=record_id, payload=payload)
    return len(wanted)


def _checked(candidates: Any, count: int) -> list[int]:
    """The candidates, each once, in the order given."""
    if not isinstance(candidates, list | tuple) or not 0 < len(candidates) <= MAX_CANDIDATES:
        raise LabError(f"expected a list of at least one candidate, got {candidates!r:.60}")
    if any(type(index) is not int or not 0 <= index < count for index in candidates):
        raise LabError(f"expected candidates from 0 to {count - 1}, got {candidates!r:.60}")
    return list(dict.fromkeys(candidates))


def check_usable(tx: Session, record_id: str) -> None:
    """LabError where a session's model or one of its rewards cannot be used here."""
    config = sessions.get_config(tx, record_id)
    checks = [usable(tx, config.model), *(rewards.usable(name) for name in config.rewards)]
    problems = [why for fine, why in checks if not fine]
    if problems:
        raise LabError("; ".join(problems))
