"""Finishing a candidate from here: the noise it rebuilds, the way it takes, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import ExploreConfig, SearchConfig
from core.denoise import euler
from core.errors import SearchError
from core.events import (
    INITIAL,
    Branch,
    Cost,
    ExploreEvent,
    IterationScored,
    IterationState,
    SessionStarted,
    StepCommitted,
)
from core.explore import explore
from core.finish import finish, noises
from core.search.rounds import Rounds
from tests.tiny import sd3_model
from tests.unit.test_explore import CONFIG, REWARDS

SEARCHED = replace(CONFIG, arms=(), search_initial=True)


def run_with(config: ExploreConfig, choose: Callable[[IterationScored], Sequence[int] | None]) -> list[ExploreEvent]:
    """A session whose elites a person may choose; events carry the elites it went on with."""
    engine, sent, events = explore(config, sd3_model(), REWARDS), None, []
    while True:
        try:
            event = engine.send(sent)
        except StopIteration:
            return events
        sent = choose(event) if isinstance(event, IterationScored) else None
        events.append(event if sent is None else replace(event, elites=tuple(sent)))


def branch_of(events: list[ExploreEvent], step: int, iteration: int) -> Branch:
    """What storage would say of a round."""
    latents = {e.step: e.latents for e in events if isinstance(e, StepCommitted)}
    first = next(e.latents for e in events if isinstance(e, SessionStarted))
    before = latents.get(step - 1, first) if step > INITIAL else None
    rounds = [e for e in events if isinstance(e, IterationScored) and e.step == step]
    return Branch(step, iteration, before, tuple(IterationState(e.elites, e.total) for e in rounds[:iteration]))


def way_to_the_end(config: ExploreConfig, latents: Tensor, step: int) -> np.ndarray:
    """The final picture, by the ODE from behind a step, without the lab's engine."""
    model = sd3_model()
    prompt = model.encode(config.prompt, config.guidance_scale)
    rest = model.sigmas(config.num_steps)[step + 1 :]
    with torch.no_grad():
        pixels = model.decode(euler(latents, rest, lambda x, sigma: model.velocity(x, sigma, prompt)))
    return (pixels[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("reading", ["literal", "sde"])
def test_what_was_committed_is_rolled_out_from_where_it_was_committed(reading) -> None:
    search = SearchConfig(num_candidates=4, num_iterations=1, elite_fraction=0.25, result="best", reading=reading)
    config = replace(SEARCHED, search=search)
    events = run_with(config, lambda event: None)
    for scored in (e for e in events if isinstance(e, IterationScored)):
        committed = next(e.latents for e in events if isinstance(e, StepCommitted) and e.step == scored.step)
        (one,) = finish(config, sd3_model(), REWARDS, branch_of(events, scored.step, 0), [scored.elites[0]])
        expected = way_to_the_end(config, committed, scored.step)
        assert (one.step, one.iteration, one.candidate) == (scored.step, 0, scored.elites[0])
        assert np.abs(one.image.astype(int) - expected).max() <= 1
        assert one.total == one.rewards["bright"] == pytest.approx(expected.mean() / 255, abs=0.01)


@pytest.mark.parametrize("choose", [lambda event: None, lambda event: (3, 0, 1) if event.iteration == 0 else None])
def test_its_noises_are_those_of_the_search_bit_for_bit(choose, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[tuple[int, int], Tensor] = {}
    original = Rounds.ask

    def ask(self: Rounds, state: object, iteration: int) -> Tensor:
        asked[self.step, iteration] = original(self, state, iteration)
        return asked[self.step, iteration]

    config = replace(SEARCHED, search=replace(CONFIG.search, num_iterations=3))
    monkeypatch.setattr(Rounds, "ask", ask)
    events = run_with(config, choose)
    monkeypatch.undo()
    assert len(asked) == 3 * 3 and INITIAL in {step for step, _ in asked}
    for (step, iteration), expected in asked.items():
        rebuilt = noises(config, tuple(expected.shape[1:]), branch_of(events, step, iteration))
        assert torch.equal(rebuilt, expected), (step, iteration)


def test_other_elites_make_other_noises() -> None:
    events = run_with(SEARCHED, lambda event: (3, 0))
    right = branch_of(events, 1, 1)
    wrong = replace(right, earlier=(replace(right.earlier[0], elites=(0, 1)),))
    shape = tuple(events[0].latent_shape)
    assert not torch.equal(noises(SEARCHED, shape, right), noises(SEARCHED, shape, wrong))


def test_each_pays_for_its_own_way_from_the_end_of_its_step() -> None:
    events = run_with(SEARCHED, lambda event: None)
    for step, velocities in ((INITIAL, 4), (1, 2), (2, 1)):
        found = list(finish(SEARCHED, sd3_model(), REWARDS, branch_of(events, step, 1), [2, 0, 3]))
        assert [one.candidate for one in found] == [2, 0, 3]
        assert all(one.cost == Cost(nfe=2 * velocities, decodes=1, reward_calls=2) for one in found)
        assert all(one.cost.seconds > 0 for one in found)


def test_a_candidate_does_not_depend_on_who_is_rolled_out_beside_it() -> None:
    branch = branch_of(run_with(SEARCHED, lambda event: None), 1, 1)
    together = list(finish(SEARCHED, sd3_model(), REWARDS, branch, [0, 1, 2, 3]))
    in_pairs = list(finish(replace(SEARCHED, batch_size=2), sd3_model(), REWARDS, branch, [3, 2, 1, 0]))[::-1]
    for one, other in zip(together, in_pairs, strict=True):
        assert one.candidate == other.candidate
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
    assert len({one.image.tobytes() for one in together}) == 4


@pytest.mark.parametrize(("step", "candidates"), [(1, [4]), (1, [-1]), (4, [0]), (-2, [0])])
def test_what_the_round_does_not_have_is_refused(step, candidates) -> None:
    with pytest.raises(SearchError, match="expected candidates from 0 to 3 of a step from -1 to 3"):
        list(finish(SEARCHED, sd3_model(), REWARDS, Branch(step, 0, torch.zeros(1, 4, 8, 8)), candidates))
