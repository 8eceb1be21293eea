"""Batches that are halved when memory runs out: the same results, told as they were made, and an end in words."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from core.config import ExploreConfig, SearchConfig
from core.errors import ModelError
from core.events import IterationScored
from core.explore import explore
from core.microbatch import MicroBatches, is_out_of_memory
from tests import tiny

OUT_OF_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
)


def room_for(most: int, work: Callable[..., Tensor], error: Exception) -> tuple[Callable[..., Tensor], list[int]]:
    """`work` on a device with room for so many samples, and how many it was asked for each time."""
    asked: list[int] = []

    def limited(samples: Tensor, *more: Any) -> Tensor:
        asked.append(len(samples))
        if len(samples) > most:
            raise error
        return work(samples, *more)

    return limited, asked


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_parts_are_halved_until_they_fit_and_stay_so(error: Exception) -> None:
    samples = torch.arange(21.0).view(7, 3)
    work, asked = room_for(2, lambda x: 2 * x, error)
    batches = MicroBatches(6, "doubling")
    assert batches.run(work, samples).equal(2 * samples)
    assert asked == [6, 3, 1, 1, 1, 1, 1, 1, 1] and batches.size == 1


def test_what_was_done_is_not_done_again() -> None:
    samples, seen = torch.arange(8.0).view(8, 1), []

    def work(part: Tensor) -> Tensor:
        if len(part) > 2 and part[0, 0] >= 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        seen.extend(part[:, 0].tolist())
        return part + 1

    assert MicroBatches(4, "adding").run(work, samples).equal(samples + 1)
    assert seen == list(range(8))


def test_one_sample_too_many_and_other_errors_are_told() -> None:
    work, asked = room_for(0, lambda x: x, OUT_OF_MEMORY[0])
    with pytest.raises(ModelError, match=r"velocities of x: not enough memory for one sample: CUDA out of memory"):
        MicroBatches(4, "velocities of x").run(work, torch.zeros(4, 1))
    assert asked == [4, 2, 1]
    work, _ = room_for(0, lambda x: x, ValueError("expected something else"))
    with pytest.raises(ValueError, match="something else"):
        MicroBatches(4, "work").run(work, torch.zeros(4, 1))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_a_search_short_of_memory_finds_the_same_and_says_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    search = SearchConfig(num_candidates=5, num_iterations=2)
    config = ExploreConfig("a photo of a red circle", num_steps=4, search=search, arms=(), rewards={"tiny": 1.0})

    def scored(**room: int) -> list[IterationScored]:
        model = tiny.sd3_model()
        for name, most in room.items():
            limited, _ = room_for(most, getattr(model, name), OUT_OF_MEMORY[0])
            monkeypatch.setattr(model, name, limited)
        found = list(explore(config, model, {"tiny": tiny.clip_reward()}))
        return [event for event in found if isinstance(event, IterationScored)]

    whole, short = scored(), scored(velocity=2, decode=1)
    assert [event.batch_size for event in whole] == [5] * len(whole)
    assert [event.batch_size for event in short] == [2] * len(short)
    for one, other in zip(whole, short, strict=True):
        assert one.total == pytest.approx(other.total, abs=1e-4)
        assert one.elites == other.elites
