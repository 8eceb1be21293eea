"""What people's pending commands ask of a running session: pure functions, called between two events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.events import INITIAL
from storage.jobs import Command, JobEvent


@dataclass(frozen=True)
class Position:
    """The last recorded step, the last scored iteration, and whether its elites can still change.

    Steps and iterations count from 0, INITIAL is the search for x_1; None before the first.
    """

    step: int | None = None
    scored: tuple[int, int] | None = None
    choosable: bool = False

    def after(self, kind: str, step: int | None, iteration: int | None) -> "Position":
        """The position once an event of that kind is recorded."""
        if kind == "iteration" and step is not None and iteration is not None:
            return Position(step, (step, iteration), True)
        if kind == "step":
            return replace(self, step=step, choosable=False)
        return replace(self, choosable=False) if kind in ("arm", "finished") else self

    def fits(self, command: Command) -> bool:
        """Whether what the sender was looking at is still the latest: the step under way, or the last board shown."""
        step, iteration = command.expected_step, command.expected_iteration
        if step is None or (step == self.step and iteration is None):
            return True
        return self.scored is not None and step == self.scored[0] and iteration in (None, self.scored[1])

    def __str__(self) -> str:
        """As people count: from 1."""
        if self.choosable and self.scored:
            return f"{name_of_step(self.scored[0])}, iteration {self.scored[1] + 1}"
        return "its start" if self.step is None else f"{name_of_step(self.step)}, which is taken"


def name_of_step(step: int) -> str:
    """As people count: from 1; the search for x_1 comes before the first."""
    return "the starting noise" if step == INITIAL else f"step {step + 1}"


@dataclass(frozen=True)
class Orders:
    """What to do now. `consumed` maps a command's id to why it was refused, or to None where it was followed.

    `stepping`: a step waits for the next event, which will pause the session; nothing beyond it is worth computing.
    """

    action: Literal["run", "pause", "cancel"]
    consumed: dict[int, str | None]
    elites: tuple[int, ...] | None = None
    stepping: bool = False


def position_of(events: Iterable[JobEvent]) -> Position:
    """The position after a job's events so far."""
    position = Position()
    for event in events:
        position = position.after(event.kind, event.step, event.iteration)
    return position


def read_orders(commands: Sequence[Command], position: Position, num_candidates: int, *, moved: bool) -> Orders:
    """Decide from all pending commands, oldest first. `moved`: an iteration, step or arm has just been recorded.

    A step is consumed by the event that it asked for, not before: a worker that dies between the two leaves it pending
    and the next one still stops there. With `moved` False (a job just taken up) a step is checked against `position`
    and left pending; a step that is refused then pauses the session, which only that step had woken.
    """
    if any(command.kind == "cancel" for command in commands):
        return Orders("cancel", {command.id: None for command in commands if command.kind == "cancel"})
    consumed: dict[int, str | None] = {}
    waiting: list[Command] = []
    elites: tuple[int, ...] | None = None
    refused_step = continued = False
    for command in commands:
        if not position.fits(command) and not (moved and command.kind == "step"):
            consumed[command.id] = _too_late(command, position)
            refused_step |= command.kind == "step"
        elif command.kind == "elites":
            problem = elites_problem(command.payload, position, num_candidates)
            consumed[command.id] = problem
            elites = elites if problem else tuple(command.payload["elites"])
        elif command.kind == "continue":
            consumed |= {lifted.id: None for lifted in [*waiting, command]}
            waiting, continued = [], True
        else:
            waiting.append(command)
    action, done = _stop(waiting, moved)
    if refused_step and not (moved or waiting or continued):
        action = "pause"
    stepping = action == "run" and any(command.kind == "step" and command not in done for command in waiting)
    return Orders(action, consumed | {command.id: None for command in done}, elites, stepping)


def elites_problem(payload: dict[str, Any], position: Position, num_candidates: int) -> str | None:
    """Why these candidates cannot be the elites of the last iteration; None if they can."""
    if not position.choosable:
        return f"elites can be chosen while the session stands at an iteration; it is at {position}"
    chosen = payload.get("elites")
    if not isinstance(chosen, list | tuple) or not chosen:
        return f"expected at least one candidate, got {chosen!r:.80}"
    if any(type(index) is not int or not 0 <= index < num_candidates for index in chosen):
        return f"expected candidates from 0 to {num_candidates - 1}, got {chosen!r:.80}"
    return None if len(set(chosen)) == len(chosen) else f"expected each candidate once, got {chosen!r:.80}"


def _stop(waiting: list[Command], moved: bool) -> tuple[Literal["run", "pause"], list[Command]]:
    """Whether the pauses and steps that nothing has lifted stop the session here, and which of them that uses up."""
    if not waiting:
        return "run", []
    pauses = [index for index, command in enumerate(waiting) if command.kind == "pause"]
    lifted = pauses[-1] + 1 if pauses else 0
    steps = waiting[lifted:]  # a step asked for after a pause lifts it
    if not steps:
        return "pause", waiting
    if not moved:
        return "run", waiting[:lifted]
    return ("pause" if len(steps) == 1 else "run"), waiting[: lifted + 1]


def _too_late(command: Command, position: Position) -> str:
    meant = name_of_step(command.expected_step or 0)
    if command.expected_iteration is not None:
        meant += f", iteration {command.expected_iteration + 1}"
    return f"{command.kind} was meant for {meant}; the session is already at {position}"
