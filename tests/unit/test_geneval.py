"""GenEval's prompts, and the verdict on what a detector finds."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.geneval.check import Found, distinct, iou, judge, relations
from core.geneval.prompts import (
    CLASSES,
    COLORS,
    TASKS,
    Scene,
    Wanted,
    generate,
    parse,
    plural,
    scene,
    space,
    split,
    write,
)
from core.rewards.geneval import GenEvalReward
from core.rewards.protocol import score


class TestPrompts:
    def test_three_thousand_in_even_shares(self) -> None:
        scenes = generate()
        counts = Counter(one.task for one in scenes)
        assert len({one.text() for one in scenes}) == 3_000
        assert counts == {task: min(space(task), 670) for task in TASKS}
        assert generate() == scenes and generate(seed=1) != scenes

    def test_what_is_held_out_is_of_every_task_and_never_trained(self) -> None:
        train, test = split(generate(), 300)
        assert (len(train), len(test)) == (2_700, 300)
        assert Counter(one.task for one in test) == {"single_object": 8, "counting": 24} | dict.fromkeys(
            ("two_object", "colors", "position", "color_attr"), 67
        )

        def facts(one: Scene) -> frozenset[tuple[object, ...]]:
            if one.task != "position":
                return frozenset((wanted.name, wanted.count, wanted.color) for wanted in one.wanted)
            first, placed = one.wanted
            relation = placed.position[0] if placed.position else ""
            pair = (placed.name, relation, first.name)
            return frozenset(
                [pair if relation in ("left of", "above") else (first.name, "inverse", placed.name, relation)]
            )

        assert not {facts(one) for one in train} & {facts(one) for one in test}

    @pytest.mark.parametrize("task", TASKS)
    def test_every_scene_of_a_task_is_another_and_reads_back(self, task: str) -> None:
        step = max(1, space(task) // 700)  # type: ignore[arg-type]
        texts = []
        for index in range(0, space(task), step):  # type: ignore[arg-type]
            for swapped in (False, True):
                one = scene(task, index, swapped=swapped)  # type: ignore[arg-type]
                assert parse(one.text()) == one
            texts.append(one.text())
        assert len(set(texts)) == len(texts)

    def test_swapped_says_the_same(self) -> None:
        one, other = scene("position", 0), scene("position", 0, swapped=True)
        assert one.text() == "a photo of a person left of a bicycle"
        assert other.text() == "a photo of a bicycle right of a person"

    def test_metadata_is_genevals(self) -> None:
        assert scene("counting", 5).metadata() == {
            "tag": "counting",
            "include": [{"class": "bicycle", "count": 4}],
            "exclude": [{"class": "bicycle", "count": 5}],
            "prompt": "a photo of four bicycles",
        }
        assert Scene("position", (Wanted("cup"), Wanted("ox", position=("above", 0)))).metadata() == {
            "tag": "position",
            "include": [{"class": "cup", "count": 1}, {"class": "ox", "count": 1, "position": ["above", 0]}],
            "prompt": "a photo of an ox above a cup",
        }

    def test_eighty_classes_ten_colors(self) -> None:
        assert len(set(CLASSES)) == 80 and len(set(COLORS)) == 10
        assert all(one.wanted[0].name != "person" for one in generate(2_000) if one.task in ("colors", "color_attr"))

    @pytest.mark.parametrize(
        ("prompt", "expected"),
        [
            ("A photo of an  orange orange.", Scene("colors", (Wanted("orange", color="orange"),))),
            ("a photo of an orange", Scene("single_object", (Wanted("orange"),))),
            ("a photo of two knives", Scene("counting", (Wanted("knife", 2),))),
            ("a photo of three buses", Scene("counting", (Wanted("bus", 3),))),
            ("a photo of a red cup and a dog", None),
            ("a photo of a red cup left of a blue dog", None),
            ("a photo of five dogs", None),
            ("a photo of a unicorn", None),
            ("a photo of a dog and a cat and a bird", None),
            ("", None),
        ],
    )
    def test_reading(self, prompt: str, expected: Scene | None) -> None:
        assert parse(prompt) == expected

    def test_plurals(self) -> None:
        assert [plural(name) for name in ("dog", "bus", "knife")] == ["dogs", "buses", "knifes"]

    def test_numbers_out_of_range_are_told(self) -> None:
        with pytest.raises(ValueError, match="from 1 to 294,200, got 0"):
            generate(0)
        with pytest.raises(ValueError, match="0 to 10 prompts, got 11"):
            split(generate(10), 11)
        assert [len(part) for part in split(generate(10), 10)] == [0, 10]

    def test_written_as_text_and_as_lines_of_json(self, tmp_path: Path) -> None:
        scenes = generate(40)
        write(tmp_path / "new", "some", scenes)
        lines = (tmp_path / "new" / "some.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [one.metadata() for one in scenes]
        assert (tmp_path / "new" / "some.txt").read_text().splitlines() == [one.text() for one in scenes]

    def test_command(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "core.geneval.prompts", "--out", str(tmp_path), "--count", "60"]
        done = subprocess.run([*command, "--held-out", "6"], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.startswith("54 prompts in ")
        assert len((tmp_path / "geneval-test.txt").read_text().splitlines()) == 6
        refused = subprocess.run([*command, "--held-out", "61"], capture_output=True, text=True)
        assert refused.returncode == 2 and "expected to hold out 0 to 60 prompts, got 61" in refused.stderr


def at(name: str, x: float, y: float, score: float = 0.9, size: float = 10.0) -> Found:
    return Found(name, score, (x - size / 2, y - size / 2, x + size / 2, y + size / 2))


def check(prompt: str, *found: Found, colors: Sequence[str] = ()) -> tuple[bool, float]:
    """The verdict, with colours named in the order of what was found."""
    asked = parse(prompt)
    assert asked is not None
    named = dict(zip(found, colors, strict=False))
    verdict = judge(asked, found, named.get)
    return verdict.strict, pytest.approx(verdict.partial)


class TestJudge:
    def test_objects_that_are_there(self) -> None:
        dog, cat = at("dog", 20, 20), at("cat", 60, 20)
        assert check("a photo of a dog", dog, cat) == (True, 1)
        assert check("a photo of a dog", dog, at("dog", 60, 60)) == (True, 1)  # more than one is fine
        assert check("a photo of a dog", cat) == (False, 0)
        assert check("a photo of a dog and a cat", dog) == (False, 0.5)

    @pytest.mark.parametrize(("there", "partial"), [(0, 0), (1, 1 / 3), (2, 2 / 3), (3, 1), (4, 2 / 3), (7, 0)])
    def test_a_number_is_exact(self, there: int, partial: float) -> None:
        dogs = [at("dog", 20 * index, 0) for index in range(there)]
        assert check("a photo of three dogs", *dogs) == (there == 3, partial)

    def test_colors(self) -> None:
        dog, cat, other = at("dog", 20, 20), at("cat", 60, 20), at("dog", 90, 20, 0.5)
        assert check("a photo of a red dog", dog, colors=["red"]) == (True, 1)
        assert check("a photo of a red dog", dog, other, colors=["blue", "red"]) == (
            False,
            0.5,
        )  # the surest one counts
        assert check("a photo of a red dog") == (False, 0)
        prompt = "a photo of a red dog and a blue cat"
        assert check(prompt, dog, cat, colors=["red", "blue"]) == (True, 1)
        assert check(prompt, dog, cat, colors=["blue", "red"]) == (False, 0.5)
        assert check(prompt, dog, cat, colors=["red", "red"]) == (False, 0.75)

    def test_places(self) -> None:
        dog, cat = at("dog", 20, 20), at("cat", 60, 25)
        assert check("a photo of a dog left of a cat", dog, cat) == (True, 1)
        assert check("a photo of a cat right of a dog", dog, cat) == (True, 1)
        assert check("a photo of a dog right of a cat", dog, cat) == (False, 0.75)
        assert check("a photo of a dog left of a cat", dog) == (False, 0.25)
        assert check("a photo of a dog left of a cat", cat) == (False, 0.5)

    def test_relations(self) -> None:
        centre = at("dog", 50, 50)
        for x, y, told in ((20, 50, {"left of"}), (80, 50, {"right of"}), (50, 20, {"above"}), (50, 80, {"below"})):
            assert relations(at("cat", x, y), centre) == told
        assert relations(at("cat", 20, 20), centre) == {"left of", "above"}
        assert relations(at("cat", 51.9, 50), centre) == set()  # within a tenth of both sizes
        assert relations(at("cat", 53.9, 50), centre) == set()  # beyond it by less than half of the distance
        assert relations(at("cat", 54.1, 50), centre) == {"right of"}
        assert relations(centre, centre) == set()

    def test_one_thing_found_twice_is_one(self) -> None:
        sure, again = at("dog", 20, 20, 0.9), at("dog", 21, 20, 0.8)
        other, cat = at("dog", 28, 20, 0.7), at("cat", 20, 20, 0.6)
        assert distinct([cat, other, again, sure], 0.5) == (sure, other, cat)
        assert iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
        assert iou((0, 0, 1, 1), (2, 2, 3, 3)) == iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


class FakeDetector:
    """Finds a square of the class whose turn it is wherever a channel is bright; remembers what it was asked."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.asked = names, []  # type: ignore[var-annotated]

    def __call__(self, images: Tensor, names: Sequence[Sequence[str]], threshold: float) -> list[tuple[Found, ...]]:
        self.asked += names
        found = []
        for image, wanted in zip(images, names, strict=True):
            things = []
            for channel, name in zip(image, self.names, strict=True):
                rows, columns = (channel > 0.5).nonzero(as_tuple=True)
                if name in wanted and len(rows):
                    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                    things.append(Found(name, 0.9, tuple(float(edge) for edge in box)))  # type: ignore[arg-type]
            found.append(tuple(things))
        return found


def test_the_reward_asks_for_what_the_prompt_names_and_judges_it() -> None:
    images = torch.zeros(3, 3, 32, 32)
    images[:, 0, 4:12, 2:10], images[:2, 1, 4:12, 20:28] = 1, 1
    detector = FakeDetector(["dog", "cat", "bird"])
    prompts = ["a photo of a dog left of a cat", "a photo of a dog right of a cat", "a photo of a dog and a cat"]

    def named(picture: Tensor, found: Found) -> str:
        return "red" if picture[0, int(found.box[1]), int(found.box[0])] > 0.5 else "green"

    assert score(GenEvalReward(detector, named, "geneval"), images, prompts) == pytest.approx((1, 0.75, 0.5))
    assert detector.asked == [("cat", "dog"), ("cat", "dog"), ("dog", "cat")]
    strict = GenEvalReward(detector, named, "geneval-strict", strict=True)
    assert score(strict, images, prompts) == (1, 0, 0)
    colored = ["a photo of a red dog", "a photo of a blue cat and a red dog", "a photo of a poem"]
    found = score(GenEvalReward(detector, named, "geneval"), images, colored)
    assert found[:2] == pytest.approx((1, 0.75)) and found[2] != found[2]
