"""GenEval's prompts: six tasks over the 80 classes of COCO, as sentences and as what they ask for. No torch.

    .venv/bin/python -m core.geneval.prompts --out prompts          # 2,700 and 300 of them, as text and as JSON lines

A sentence is read back into what it asks for, so that a reward needs nothing but the prompt. Plurals follow GenEval's
rule (an s, or es after s), clumsy as it is; the usual English ones are understood, too.
"""

import argparse
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations
from pathlib import Path
from typing import Any, Literal, get_args

Task = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr"]
TASKS: tuple[Task, ...] = get_args(Task)
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
COUNTS = {2: "two", 3: "three", 4: "four"}
# COCO's names, with GenEval's three clearer ones: computer mouse, tv remote, computer keyboard.
CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "computer mouse", "tv remote"),
    *("computer keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock"),
    *("vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
COLORED = tuple(name for name in CLASSES if name != "person")  # nobody is asked for in a colour
IRREGULAR = {
    "people": "person",
    "benches": "bench",
    "sheep": "sheep",
    "skis": "skis",
    "knives": "knife",
    "sandwiches": "sandwich",
    "couches": "couch",
    "computer mice": "computer mouse",
    "scissors": "scissors",
    "toothbrushes": "toothbrush",
}


@dataclass(frozen=True)
class Wanted:
    """Objects of one class: how many, in which colour, and in which relation to another entry of the same scene."""

    name: str
    count: int = 1
    color: str | None = None
    position: tuple[str, int] | None = None


@dataclass(frozen=True)
class Scene:
    """What a prompt asks for. In `position` the object that the other one is placed by stands first, as in GenEval."""

    task: Task
    wanted: tuple[Wanted, ...]

    def text(self) -> str:
        """The sentence."""
        return "a photo of " + self._objects()

    def _objects(self) -> str:
        first, *rest = self.wanted
        if self.task == "counting":
            return f"{COUNTS[first.count]} {plural(first.name)}"
        if self.task == "position":
            (placed,) = rest
            relation = placed.position[0] if placed.position else ""
            return f"{_named(placed)} {relation} {_named(first)}"
        return " and ".join(map(_named, self.wanted))

    def metadata(self) -> dict[str, Any]:
        """The same as GenEval writes it, a line of its `evaluation_metadata.jsonl`."""
        include = []
        for one in self.wanted:
            entry: dict[str, Any] = {"class": one.name, "count": one.count}
            if one.color:
                entry["color"] = one.color
            if one.position:
                entry["position"] = list(one.position)
            include.append(entry)
        more = {}
        if self.task == "counting":
            more["exclude"] = [{"class": one.name, "count": one.count + 1} for one in self.wanted]
        return {"tag": self.task, "include": include, **more, "prompt": self.text()}


def plural(name: str) -> str:
    """GenEval's plural."""
    return name + ("es" if name.endswith("s") else "s")


def _named(wanted: Wanted) -> str:
    name = f"{wanted.color} {wanted.name}" if wanted.color else wanted.name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], dict[str, str]]:
    """One or two things; a number of things; and the class of every plural."""

    def one_of(names: Iterable[str]) -> str:
        return "|".join(sorted(map(re.escape, names), key=len, reverse=True))

    plurals = {plural(name): name for name in CLASSES} | IRREGULAR
    thing = rf"an? (?:(?P<color{{0}}>{one_of(COLORS)}) )?(?P<name{{0}}>{one_of(CLASSES)})"
    things = rf"{thing.format(1)}(?: (?P<between>and|{one_of(RELATIONS)}) {thing.format(2)})?"
    many = rf"(?P<count>{one_of(COUNTS.values())}) (?P<names>{one_of(plurals)})"
    return re.compile(f"a photo of {things}"), re.compile(f"a photo of {many}"), plurals


def parse(prompt: str) -> Scene | None:
    """What a prompt asks for; None for one that is not of GenEval's kind."""
    things, many, plurals = _patterns()
    text = " ".join(prompt.lower().split()).rstrip(".")
    if found := many.fullmatch(text):
        count = next(number for number, word in COUNTS.items() if word == found["count"])
        return Scene("counting", (Wanted(plurals[found["names"]], count),))
    found = things.fullmatch(text)
    if not found:
        return None
    first = Wanted(found["name1"], color=found["color1"])
    between = found["between"]
    if between is None:
        return Scene("colors" if first.color else "single_object", (first,))
    second = Wanted(found["name2"], color=found["color2"])
    if between == "and":
        colors = (first.color is None) + (second.color is None)
        return None if colors == 1 else Scene("two_object" if colors else "color_attr", (first, second))
    if first.color or second.color:
        return None
    return Scene("position", (second, Wanted(first.name, position=(between, 0))))


def space(task: Task) -> int:
    """How many different scenes a task has; those that say the same the other way round count once."""
    pairs, colored = len(CLASSES) * (len(CLASSES) - 1) // 2, len(COLORED) * (len(COLORED) - 1) // 2
    return {
        "single_object": len(CLASSES),
        "two_object": pairs,
        "counting": len(CLASSES) * len(COUNTS),
        "colors": len(COLORED) * len(COLORS),
        "position": pairs * len(RELATIONS),
        "color_attr": colored * len(COLORS) * (len(COLORS) - 1),
    }[task]


def scene(task: Task, index: int, *, swapped: bool = False) -> Scene:
    """One of a task's scenes, 0 <= index < `space(task)`; `swapped` says the same the other way round."""
    if task == "single_object":
        return Scene(task, (Wanted(CLASSES[index]),))
    if task == "counting":
        which, count = divmod(index, len(COUNTS))
        return Scene(task, (Wanted(CLASSES[which], tuple(COUNTS)[count]),))
    if task == "colors":
        which, color = divmod(index, len(COLORS))
        return Scene(task, (Wanted(COLORED[which], color=COLORS[color]),))
    if task == "color_attr":
        which, color = divmod(index, len(COLORS) * (len(COLORS) - 1))
        names, colors = _pairs(COLORED)[which], tuple(permutations(COLORS, 2))[color]
        both = [Wanted(name, color=color) for name, color in zip(names, colors, strict=True)]
        return Scene(task, tuple(reversed(both) if swapped else both))
    relation = ""
    if task == "position":
        index, place = divmod(index, len(RELATIONS))
        relation = RELATIONS[place]
    one, other = _pairs(CLASSES)[index]
    if swapped:
        one, other, relation = other, one, OPPOSITE.get(relation, "")
    if task == "two_object":
        return Scene(task, (Wanted(one), Wanted(other)))
    return Scene(task, (Wanted(other), Wanted(one, position=(relation, 0))))


@cache
def _pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(combinations(names, 2))


def generate(count: int = 3_000, seed: int = 0) -> tuple[Scene, ...]:
    """`count` different scenes, all tasks alike where a task has that many, in a random order fixed by `seed`.

    (There are only 80 single objects and 240 counts: of 3,000 the other four tasks have 670 each.)
    """
    most = sum(map(space, TASKS))
    if not 1 <= count <= most:
        raise ValueError(f"expected a number of prompts from 1 to {most:,}, got {count}")
    rng = random.Random(seed)
    made = []
    for task, share in _shares(count, {task: space(task) for task in TASKS}).items():
        chosen = rng.sample(range(space(task)), share)
        made += [scene(task, index, swapped=rng.random() < 0.5) for index in chosen]
    rng.shuffle(made)
    return tuple(made)


def split(scenes: Sequence[Scene], held_out: int) -> tuple[tuple[Scene, ...], tuple[Scene, ...]]:
    """Scenes for training, and `held_out` others with every task's share of the whole."""
    if not 0 <= held_out <= len(scenes):
        raise ValueError(f"expected to hold out 0 to {len(scenes)} prompts, got {held_out}")
    ideal = {task: held_out * sum(one.task == task for one in scenes) / max(1, len(scenes)) for task in TASKS}
    left = {task: int(value) for task, value in ideal.items()}
    by_remainder = sorted(TASKS, key=lambda task: left[task] - ideal[task])
    for task in by_remainder[: held_out - sum(left.values())]:
        left[task] += 1
    train: list[Scene] = []
    test: list[Scene] = []
    for one in scenes:
        (test if left[one.task] else train).append(one)
        left[one.task] = max(0, left[one.task] - 1)
    return tuple(train), tuple(test)


def _shares(count: int, room: dict[Task, int]) -> dict[Task, int]:
    """As even as the room allows; what cannot be shared evenly goes to the roomier tasks."""
    shares: dict[Task, int] = {}
    for done, task in enumerate(sorted(room, key=lambda task: room[task])):
        shares[task] = min(room[task], (count - sum(shares.values())) // (len(room) - done))
    return {task: shares[task] for task in room}


def write(folder: Path, name: str, scenes: Sequence[Scene]) -> None:
    """`name`.txt with a sentence a line, and `name`.jsonl with what each asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text("".join(f"{one.text()}\n" for one in scenes))
    (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(one.metadata())}\n" for one in scenes))


def main() -> None:
    """Write a training and a held-out set."""
    parser = argparse.ArgumentParser(description="GenEval prompts for training and, apart from them, for evaluation.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write into")
    parser.add_argument("--count", type=int, default=3_000, help="how many in all (default: 3000)")
    parser.add_argument("--held-out", type=int, default=300, help="how many of them to hold out (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws others (default: 0)")
    asked = parser.parse_args()
    try:
        parts = split(generate(asked.count, asked.seed), asked.held_out)
    except ValueError as error:
        parser.error(str(error))
    for name, scenes in zip(("geneval-train", "geneval-test"), parts, strict=True):
        write(asked.out, name, scenes)
        print(f"{len(scenes)} prompts in {asked.out / name}.txt and .jsonl")


if __name__ == "__main__":
    main()
