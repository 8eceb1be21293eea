"""The exact verifier: finds the shapes in a picture and checks a caption against them, as GenEval does with a detector.

Each pixel takes the nearest colour of palette and background; connected regions of one colour are compared with the
four outlines. `strict` asks for exactly the objects of the caption and their relation; `partial` is a continuous
score in [0, 1] that a search can climb.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from core.shapes.scenes import COLORS, PALETTE, SHAPES, Caption, Phrase, Scene, Shape, draw

MIN_AREA = 0.008  # of the picture: below it a region is a speck (the smallest drawn star covers .018)
STRICT_OVERLAP = 0.7  # overlap with the outline that counts as recognised
TEMPLATE_SIZE = 32


@dataclass(frozen=True)
class Found:
    """One region: overlap with each of SHAPES (4,), closeness to each of COLORS (6,), centre, area (fractions)."""

    overlaps: tuple[float, ...]
    closeness: tuple[float, ...]
    x: float
    y: float
    area: float

    @property
    def shape(self) -> str:
        """The outline it resembles most."""
        return SHAPES[int(np.argmax(self.overlaps))]

    @property
    def color(self) -> str:
        """The palette colour it is nearest to."""
        return COLORS[int(np.argmax(self.closeness))]

    @property
    def recognised(self) -> bool:
        """Whether it is one of the four shapes at all."""
        return max(self.overlaps) >= STRICT_OVERLAP


@cache
def _templates() -> np.ndarray:
    """The four outlines as (4, TEMPLATE_SIZE, TEMPLATE_SIZE) bool, each filling its bounding box."""
    masks = []
    for shape in SHAPES:
        drawn = draw(Scene((Shape(shape, "black", 0.5, 0.5, 0.45),), (255, 255, 255)), size=256)[..., 0] < 128
        masks.append(_fill_box(drawn))
    return np.stack(masks)


def _fill_box(mask: np.ndarray) -> np.ndarray:
    """Crop a mask to its bounding box and scale it to the template size."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scaled = Image.fromarray(box.astype(np.uint8) * 255).resize(
        (TEMPLATE_SIZE, TEMPLATE_SIZE), Image.Resampling.BILINEAR
    )
    return np.asarray(scaled) >= 128


def _background(image: np.ndarray) -> np.ndarray:
    """Median colour (3,) of the picture's rim."""
    rim = np.concatenate(
        [image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3), image[:, :2].reshape(-1, 3), image[:, -2:].reshape(-1, 3)]
    )
    return np.median(rim, axis=0)


def find_shapes(image: np.ndarray) -> list[Found]:
    """Find the coloured regions of a picture (H, W, 3) uint8, specks left out, largest first."""
    pixels = image.astype(np.float32)
    height, width, _ = pixels.shape
    palette = np.array([*PALETTE.values()], dtype=np.float32)
    centers = np.concatenate([palette, _background(pixels)[None]])
    nearest = np.linalg.norm(pixels[:, :, None] - centers, axis=-1).argmin(-1)
    found = []
    for index in range(len(COLORS)):
        labels, count = ndimage.label(nearest == index)
        for label in range(1, count + 1):
            mask = labels == label
            area = mask.mean()
            # What vanishes under an opening is the one-pixel rim that antialiasing leaves between two colours.
            if area < MIN_AREA or ndimage.binary_opening(mask, np.ones((3, 3))).mean() < MIN_AREA / 2:
                continue
            filled = _fill_box(mask)
            overlaps = [(filled & t).sum() / (filled | t).sum() for t in _templates()]
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            aspect = min(len(rows), len(columns)) / max(len(rows), len(columns))
            stretched = min(1.0, aspect / 0.75)  # scaling to the template hides a stretched outline
            distance = np.linalg.norm(palette - np.median(pixels[mask], axis=0), axis=1)
            found.append(
                Found(
                    overlaps=tuple(float(o * stretched) for o in overlaps),
                    closeness=tuple(float(c) for c in np.clip(1 - distance / 160, 0, 1)),
                    x=float((columns[0] + columns[-1] + 1) / 2 / width),
                    y=float((rows[0] + rows[-1] + 1) / 2 / height),
                    area=float(area),
                )
            )
    return sorted(found, key=lambda item: -item.area)


def relation_holds(relation: str, first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether `first` stands in the relation to `second`: clearly so, and along that axis above all."""
    return relation_score(relation, first, second) >= 0.5


def relation_score(relation: str, first: tuple[float, float], second: tuple[float, float]) -> float:
    """How well two centres satisfy a relation, in [0, 1]; .5 where it begins to hold."""
    dx, dy = first[0] - second[0], first[1] - second[1]
    along, across = (dx, dy) if relation in ("left of", "right of") else (dy, dx)
    if relation in ("left of", "above"):
        along = -along
    return float(np.clip(0.5 + (along - max(0.1, abs(across))) / 0.3, 0, 1))


def _slot_scores(slots: tuple[Phrase, ...], found: list[Found]) -> np.ndarray:
    """Partial credit (slots, found) of every region for every asked object."""
    scores = np.zeros((len(slots), len(found)))
    for i, slot in enumerate(slots):
        for j, item in enumerate(found):
            shape = item.overlaps[SHAPES.index(slot.shape)]
            rival = max(o for s, o in zip(SHAPES, item.overlaps, strict=True) if s != slot.shape)
            outline = np.clip((shape - 0.5) / 0.4, 0, 1) * np.clip(0.5 + (shape - rival) / 0.2, 0, 1)
            color = item.closeness[COLORS.index(slot.color)] if slot.color else max(item.closeness)
            scores[i, j] = outline * color
    return scores


def verify(image: np.ndarray, caption: Caption) -> tuple[bool, float]:
    """Check a picture (H, W, 3) uint8 against a caption: (strict, partial credit in [0, 1]).

    Partial credit is the best assignment of regions to asked objects, summed over the larger of both counts (so that
    extra objects cost), and for a relation half of it hangs on the relation's own score.
    """
    return check(find_shapes(image), caption)


def check(found: list[Found], caption: Caption) -> tuple[bool, float]:
    """As `verify`, for regions already found."""
    slots = caption.slots()
    if not found:
        return False, 0.0
    scores = _slot_scores(slots, found)
    rows, columns = linear_sum_assignment(scores, maximize=True)
    partial = float(scores[rows, columns].sum()) / max(len(slots), len(found))
    strict = len(found) == len(slots) and all(_matches(found[j], slots[i]) for i, j in zip(rows, columns, strict=True))
    if caption.relation:
        if len(rows) < 2:
            return False, partial / 2
        first, second = (found[j] for j in columns[np.argsort(rows)])
        score = relation_score(caption.relation, (first.x, first.y), (second.x, second.y))
        strict, partial = strict and score >= 0.5, partial * (0.5 + 0.5 * score)
    return strict, partial


def _matches(item: Found, slot: Phrase) -> bool:
    return item.recognised and item.shape == slot.shape and slot.color in (None, item.color)


def caption_holds(caption: Caption, scene: Scene) -> bool:
    """Whether a caption (as `sample_caption` draws them) is true of a scene's ground truth, not of its drawing."""
    if len(caption.slots()) != len(scene.objects):
        return False
    if len(caption.phrases) == 1:
        return all(_fits(item, caption.phrases[0]) for item in scene.objects)
    first, second = caption.phrases
    one, other = scene.objects
    return any(
        _fits(a, first)
        and _fits(b, second)
        and (caption.relation is None or relation_holds(caption.relation, (a.x, a.y), (b.x, b.y)))
        for a, b in ((one, other), (other, one))
    )


def _fits(item: Shape, phrase: Phrase) -> bool:
    return item.shape == phrase.shape and phrase.color in (None, item.color)
