"""What pending commands ask of a running session."""

import pytest

from app.orders import Orders, Position, position_of, read_orders
from storage.jobs import Command, JobEvent

AT = Position(4, (4, 2), True)


def commands(*kinds: str) -> list[Command]:
    return [Command(number, number, kind, {}, None, None) for number, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "moved", "action", "read"),
    [
        ((), True, "run", ""),
        (("pause",), True, "pause", "0"),
        (("pause",), False, "pause", "0"),
        (("step",), False, "run", ""),
        (("step",), True, "pause", "0"),
        (("step", "step"), True, "run", "0"),
        (("pause", "step"), False, "run", "0"),
        (("pause", "step"), True, "pause", "01"),
        (("step", "pause"), False, "pause", "01"),
        (("pause", "continue"), True, "run", "01"),
        (("step", "continue"), True, "run", "01"),
        (("continue", "pause"), True, "pause", "01"),
        (("continue", "step"), False, "run", "0"),
        (("step", "continue", "step"), True, "pause", "012"),
        (("pause", "cancel"), True, "cancel", "1"),
    ],
)
def test_orders(kinds: tuple[str, ...], moved: bool, action: str, read: str) -> None:
    orders = read_orders(commands(*kinds), AT, 5, moved=moved)
    left = kinds[len(read) :] if action == "run" else ()
    assert orders == Orders(action, {int(number): None for number in read}, stepping="step" in left)


def test_a_late_step_pauses_what_it_woke_but_not_what_runs() -> None:
    late = [Command(1, 1, "step", {}, 3, 0)]
    woken = read_orders(late, AT, 5, moved=False)
    assert woken.action == "pause" and woken.consumed[1] is not None
    both = [*late, Command(2, 2, "continue", {}, None, None)]
    assert read_orders(both, AT, 5, moved=False).action == "run"


def test_a_step_already_under_way_is_not_late() -> None:
    assert read_orders([Command(1, 1, "step", {}, 4, 1)], AT, 5, moved=True) == Orders("pause", {1: None})


@pytest.mark.parametrize("place", [(4, 2), (4, None), (None, None)])
def test_elites_for_the_board_on_screen(place: tuple[int | None, int | None]) -> None:
    chosen = [Command(1, 1, "elites", {"elites": [3, 0]}, *place)]
    assert read_orders(chosen, AT, 5, moved=True) == Orders("run", {1: None}, (3, 0))


def test_elites_come_too_late_once_the_step_is_taken() -> None:
    taken = AT.after("step", 4, None)
    orders = read_orders([Command(1, 1, "elites", {"elites": [3, 0]}, 4, 2)], taken, 5, moved=True)
    assert orders.elites is None
    assert orders.consumed[1] == (
        "elites can be chosen while the session stands at an iteration; it is at step 5, which is taken"
    )


def test_a_position_follows_from_the_events() -> None:
    events = [
        ("status", None, None),
        ("session", None, None),
        ("step", 0, None),
        ("iteration", 1, 0),
        ("command", None, None),
    ]
    history = [JobEvent(seq, *event) for seq, event in enumerate(events)]
    assert position_of(history) == Position(1, (1, 0), True)
    assert position_of([*history, JobEvent(9, "step", 1, None)]) == Position(1, (1, 0), False)
    assert position_of([*history, JobEvent(9, "arm", None, None)]) == Position(1, (1, 0), False)


def test_a_page_may_name_the_last_board_or_the_last_step() -> None:
    taken = Position(5, (4, 2), False)
    fitting = [(4, 2), (5, None), (None, None), (4, None)]
    late = [(3, 2), (4, 1), (5, 0), (6, None)]
    assert all(taken.fits(Command(1, 1, "step", {}, *place)) for place in fitting)
    assert not any(taken.fits(Command(1, 1, "step", {}, *place)) for place in late)


def test_the_search_for_x_1_comes_before_the_first_step() -> None:
    events = [JobEvent(1, "session", None, None), JobEvent(2, "iteration", -1, 0)]
    at_x_1 = position_of(events)
    assert at_x_1 == Position(-1, (-1, 0), True) and str(at_x_1) == "the starting noise, iteration 1"
    chosen = [Command(1, 1, "elites", {"elites": [3, 0]}, -1, 0)]
    assert read_orders(chosen, at_x_1, 5, moved=True).elites == (3, 0)
    late = read_orders(chosen, at_x_1.after("step", -1, None).after("step", 0, None), 5, moved=True)
    assert late.consumed[1] == (
        "elites can be chosen while the session stands at an iteration; it is at step 1, which is taken"
    )
    other = read_orders([Command(1, 1, "step", {}, -1, 1)], AT, 5, moved=False)
    assert other.consumed[1] == (
        "step was meant for the starting noise, iteration 2; the session is already at step 5, iteration 3"
    )
