"""Scenes of coloured shapes, their captions and their drawings: the embedded world's ground truth.

A scene is a list of objects in fractional picture coordinates ([0, 1], origin top left). Its caption follows the six
tasks of GenEval (Ghosh et al. 2023). Everything is a pure function of a numpy Generator: one seed, one data set.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

IMAGE_SIZE = 64

Task = Literal["single_object", "two_objects", "counting", "colors", "position", "color_attribution"]
TASKS: tuple[Task, ...] = ("single_object", "two_objects", "counting", "colors", "position", "color_attribution")

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (222, 38, 38),
    "green": (36, 158, 62),
    "blue": (42, 82, 222),
    "yellow": (240, 204, 30),
    "purple": (150, 52, 186),
    "black": (26, 26, 26),
}
COLORS = tuple(PALETTE)
SHAPES = ("circle", "square", "triangle", "star")
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
COUNT_WORDS = {1: "a", 2: "two", 3: "three", 4: "four"}
BACKGROUNDS = ((250, 250, 250), (222, 224, 226), (214, 229, 246), (250, 240, 216))

# Share of training scenes by task: single objects are learned soon, counts and relations need most of the data.
TASK_WEIGHTS: dict[Task, float] = {
    "single_object": 0.06,
    "two_objects": 0.12,
    "counting": 0.22,
    "colors": 0.12,
    "position": 0.26,
    "color_attribution": 0.22,
}
# The flow model's second training: captions that leave a colour open come out worst (colours run together).
SECOND_TASK_WEIGHTS: dict[Task, float] = {
    "single_object": 0.15,
    "two_objects": 0.17,
    "counting": 0.18,
    "colors": 0.08,
    "position": 0.23,
    "color_attribution": 0.19,
}


@dataclass(frozen=True)
class Phrase:
    """One noun phrase of a caption; `color` None means that any colour will do."""

    shape: str
    color: str | None = None
    count: int = 1

    def text(self) -> str:
        """The phrase in words: "a red circle", "three stars"."""
        noun = self.shape if self.count == 1 else f"{self.shape}s"
        return " ".join(word for word in (COUNT_WORDS[self.count], self.color, noun) if word)


@dataclass(frozen=True)
class Caption:
    """What a picture should show: phrases, and for two of them possibly a relation (first to second)."""

    task: Task
    phrases: tuple[Phrase, ...]
    relation: str | None = None

    def text(self) -> str:
        """The prompt: "a photo of a red circle left of a blue star"."""
        joint = f" {self.relation} " if self.relation else " and "
        return "a photo of " + joint.join(phrase.text() for phrase in self.phrases)

    def slots(self) -> tuple[Phrase, ...]:
        """One phrase of count 1 for every object the caption asks for."""
        return tuple(Phrase(p.shape, p.color) for p in self.phrases for _ in range(p.count))


@dataclass(frozen=True)
class Shape:
    """One object: its centre and its radius (half its extent) as fractions of the picture's side."""

    shape: str
    color: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """Objects on a plain background (an RGB triple in 0..255)."""

    objects: tuple[Shape, ...]
    background: tuple[int, int, int]


def outline(shape: str) -> np.ndarray | None:
    """Corners (n, 2) of a shape that fills the box [-1, 1]^2; None for the circle."""
    if shape == "square":
        return np.array([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    if shape == "triangle":
        return np.array([(0.0, -1.0), (1.0, 0.85), (-1.0, 0.85)])
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.06, 0.48)
        return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return None


def draw(scene: Scene, size: int = IMAGE_SIZE, supersample: int = 4) -> np.ndarray:
    """Draw a scene, antialiased by supersampling: (size, size, 3) uint8."""
    side = size * supersample
    canvas = Image.new("RGB", (side, side), scene.background)
    pen = ImageDraw.Draw(canvas)
    for item in scene.objects:
        center, radius = np.array([item.x, item.y]) * side, item.radius * side
        corners = outline(item.shape)
        if corners is None:
            pen.ellipse([*(center - radius), *(center + radius)], fill=PALETTE[item.color])
        else:
            pen.polygon([tuple(point) for point in center + radius * corners], fill=PALETTE[item.color])
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


def is_held_out(first: Phrase, relation: str | None, second: Phrase) -> bool:
    """Whether a colour-shape-relation combination is kept out of training (one in ten, by hash).

    Both wordings of one arrangement ("A left of B", "B right of A"; "A and B", "B and A") share their fate, so that
    a held-out caption's picture was never drawn under its other name either.
    """
    a, b = f"{first.color} {first.shape}", f"{second.color} {second.shape}"
    if relation is None:
        key = " and ".join(sorted((a, b)))
    elif relation in ("right of", "below"):
        key = f"{b} {OPPOSITE[relation]} {a}"
    else:
        key = f"{a} {relation} {b}"
    return hashlib.sha256(key.encode()).digest()[0] * 10 < 256


def _two_different(rng: np.random.Generator) -> tuple[Phrase, Phrase]:
    while True:
        first, second = (Phrase(str(rng.choice(SHAPES)), str(rng.choice(COLORS))) for _ in range(2))
        if first.shape != second.shape or first.color != second.color:
            return first, second


def sample_caption(rng: np.random.Generator, task: Task, *, held_out: bool = False) -> Caption:
    """Draw a caption of a task. For the two tasks with combinations, from the held-out tenth or from the rest."""
    shape, color = str(rng.choice(SHAPES)), str(rng.choice(COLORS))
    if task == "single_object":
        return Caption(task, (Phrase(shape),))
    if task == "colors":
        return Caption(task, (Phrase(shape, color),))
    if task == "counting":
        return Caption(task, (Phrase(shape, color if rng.random() < 0.5 else None, int(rng.integers(2, 5))),))
    if task == "two_objects":
        one, other = rng.choice(SHAPES, size=2, replace=False)
        return Caption(task, (Phrase(str(one)), Phrase(str(other))))
    while True:
        first, second = _two_different(rng)
        relation = str(rng.choice(RELATIONS)) if task == "position" else None
        if is_held_out(first, relation, second) == held_out:
            return Caption(task, (first, second), relation)


def _positions(rng: np.random.Generator, count: int, relation: str | None) -> np.ndarray | None:
    """Centres (count, 2) and a common radius, (count, 3) together; None when this draw does not fit."""
    low, high = {1: (0.20, 0.32), 2: (0.17, 0.22), 3: (0.14, 0.18), 4: (0.13, 0.155)}[count]
    radii = rng.uniform(low, high, size=count) if count < 3 else np.full(count, rng.uniform(low, high))
    margin = radii[:, None] * 1.06 + 0.02
    centers = rng.uniform(margin, 1 - margin, size=(count, 2))
    if relation:
        axis, sign = (0 if relation in ("left of", "right of") else 1), (-1 if relation in ("left of", "above") else 1)
        offset = (centers[0] - centers[1]) * sign
        if offset[axis] < 0.34 or abs(offset[1 - axis]) > 0.5 * offset[axis]:
            return None
    for i in range(count):
        for j in range(i):
            if np.abs(centers[i] - centers[j]).max() < radii[i] + radii[j] + 0.04:
                return None
    return np.concatenate([centers, radii[:, None]], axis=1)


def sample_scene(rng: np.random.Generator, caption: Caption) -> Scene:
    """Draw a scene of which the caption is true; shapes never touch, unnamed colours are drawn at random."""
    slots = caption.slots()
    color_of_unnamed = str(rng.choice(COLORS))
    while True:
        placed = _positions(rng, len(slots), caption.relation)
        if placed is None:
            continue
        many = caption.task == "counting"
        colors = [s.color or (color_of_unnamed if many else str(rng.choice(COLORS))) for s in slots]
        objects = tuple(
            Shape(slot.shape, color, *map(float, at)) for slot, color, at in zip(slots, colors, placed, strict=True)
        )
        background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
        return Scene(objects, background)


def sample_task(rng: np.random.Generator, weights: dict[Task, float] = TASK_WEIGHTS) -> Task:
    """Draw a task with the given shares (in the order of TASKS)."""
    return TASKS[int(rng.choice(len(TASKS), p=list(weights.values())))]


def sample_pairs(
    seed: int, count: int, *, held_out: bool = False, weights: dict[Task, float] = TASK_WEIGHTS
) -> list[tuple[Caption, Scene]]:
    """Captions with scenes that show them; the same seed gives the same list."""
    rng = np.random.default_rng(seed)
    captions = [sample_caption(rng, sample_task(rng, weights), held_out=held_out) for _ in range(count)]
    return [(caption, sample_scene(rng, caption)) for caption in captions]


def evaluation_captions(count: int = 500, seed: int = 7) -> list[Caption]:
    """Captions in equal shares of the six tasks, combinations from the held-out tenth only."""
    rng = np.random.default_rng(seed)
    return [sample_caption(rng, TASKS[i % len(TASKS)], held_out=True) for i in range(count)]


def parse_caption(text: str) -> Caption | None:
    """Read a caption back from its text (as `Caption.text` writes it); None for any other sentence."""
    words = text.strip().lower().removesuffix(".").split()
    if words[:3] != ["a", "photo", "of"]:
        return None
    rest = " ".join(words[3:])
    for joint in (*RELATIONS, "and"):
        first, found, second = rest.partition(f" {joint} ")
        if found:
            phrases = [_parse_phrase(first), _parse_phrase(second)]
            relation = joint if joint in RELATIONS else None
            break
    else:
        phrases, relation = [_parse_phrase(rest)], None
    if any(phrase is None for phrase in phrases) or sum(p.count for p in phrases if p) > 4:
        return None
    known = tuple(phrase for phrase in phrases if phrase is not None)
    if relation and any(phrase.count > 1 for phrase in known):
        return None
    return Caption(_task_of(known, relation), known, relation)


def _parse_phrase(text: str) -> Phrase | None:
    words = text.split()
    if len(words) not in (2, 3):
        return None
    count = {word: number for number, word in COUNT_WORDS.items()} | {"an": 1, "one": 1}
    number, color, noun = count.get(words[0]), words[1] if len(words) == 3 else None, words[-1]
    shape = noun if number == 1 else noun.removesuffix("s")
    if number is None or shape not in SHAPES or (color is not None and color not in PALETTE):
        return None
    return Phrase(shape, color, number)


def _task_of(phrases: tuple[Phrase, ...], relation: str | None) -> Task:
    if relation:
        return "position"
    if len(phrases) == 2:
        return "color_attribution" if any(phrase.color for phrase in phrases) else "two_objects"
    if phrases[0].count > 1:
        return "counting"
    return "colors" if phrases[0].color else "single_object"
