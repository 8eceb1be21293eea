"""Prompts to learn from and to be judged by, by name. No torch: the web process reads them too."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from core.errors import ConfigError
from core.geneval.prompts import generate
from core.geneval.prompts import split as split_scenes
from core.models.files import ASSETS
from core.shapes.scenes import COLORS, RELATIONS, SHAPES, Caption, Phrase, evaluation_captions, sample_caption
from core.train_config import TrainConfig

SHAPES_TRAIN = "shapes-train"
GENEVAL = "geneval"
GENERATED = {
    SHAPES_TRAIN: "Captions of the embedded world",
    GENEVAL: "GenEval's six tasks over the 80 classes of COCO, as the paper has them: 2,700 and 300",
}
SPLITS = ("train", "eval")
NUM_TRAIN, NUM_EVAL = 1_500, 240
FEWEST_SPLIT = 8  # of fewer lines none can be spared for judging
TRAIN_SEED, EVAL_SEED = 60_001, 60_002
# Shares of what is learned from. The two open kinds leave a colour to the model, as the captions do that it draws
# worst; none of them is asked for in an evaluation. (Single objects, with a colour or without, and open pairs have so
# few captions that the evaluation has them all.)
TRAIN_SHARES = {
    "counting": 0.24,
    "position": 0.20,
    "color_attribution": 0.20,
    "open_pair": 0.26,
    "open_position": 0.10,
}


def prompt_set_names() -> tuple[str, ...]:
    """Every name that `prompt_set` knows: the generated sets first, then the files under assets/prompts."""
    return (*GENERATED, *sorted(path.stem for path in (ASSETS / "prompts").glob("*.txt")))


def prompt_set(name: str, split: str = "train") -> tuple[str, ...]:
    """The prompts of a set's split ("train", "eval"); the splits share none (but see `split_lines` for short files).

    A generated split names a prompt as often as its share asks for. Raises ConfigError for an unknown name.
    """
    if split not in SPLITS:
        raise ConfigError({"split": f"expected one of {', '.join(SPLITS)}, got {split!r:.60}"})
    if not isinstance(name, str) or name not in prompt_set_names():
        raise ConfigError({"prompt_set": f"expected one of {', '.join(prompt_set_names())}, got {name!r:.60}"})
    if name == SHAPES_TRAIN:
        return _shapes_train() if split == "train" else _shapes_eval()
    if name == GENEVAL:
        return _geneval()[SPLITS.index(split)]
    text = (ASSETS / "prompts" / f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return split_lines(tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#"))), split)


def split_lines(prompts: tuple[str, ...], split: str) -> tuple[str, ...]:
    """One's own prompts: every fourth is kept for judging. Fewer than 8 are too few to spare any: both are all."""
    if len(prompts) < FEWEST_SPLIT:
        return prompts
    return tuple(prompt for index, prompt in enumerate(prompts) if (index % 4 == 3) == (split == "eval"))


def trained_prompts(config: TrainConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The prompts that a fine-tune learns from and those it is judged by. Raises ConfigError for an unknown set."""
    if config.prompts:
        learned, kept = (split_lines(config.prompts, split) for split in SPLITS)
    else:
        learned, kept = (prompt_set(config.prompt_set, split) for split in SPLITS)
    return learned, kept[: config.eval_prompts]


@dataclass(frozen=True)
class Judged:
    """What a fine-tune is judged by: so many captions, so many of them different, and whether it learns from none."""

    captions: int
    different: int
    unseen: bool

    @property
    def words(self) -> str:
        """What to call them."""
        return "prompts never trained" if self.unseen else "the prompts it is trained on"


def judged_on(config: TrainConfig) -> Judged:
    """Of a fine-tune's config. Raises ConfigError for an unknown set."""
    return judged_by(*trained_prompts(config))


def judged_by(learned: Sequence[str], judged: Sequence[str]) -> Judged:
    """Of the prompts themselves."""
    different = set(judged)
    return Judged(len(judged), len(different), different.isdisjoint(learned))


@cache
def _geneval() -> tuple[tuple[str, ...], ...]:
    """The two splits."""
    return tuple(tuple(scene.text() for scene in part) for part in split_scenes(generate(3_000), 300))


@cache
def _shapes_eval() -> tuple[str, ...]:
    """Captions in equal shares of the six tasks as the model card's evaluation draws them, by another seed."""
    return tuple(caption.text() for caption in evaluation_captions(NUM_EVAL, seed=EVAL_SEED))


@cache
def _shapes_train() -> tuple[str, ...]:
    """Captions in the shares above. None of them is in the model card's evaluation or in the eval split."""
    kept_out = {caption.text() for caption in evaluation_captions()} | set(_shapes_eval())
    rng = np.random.default_rng(TRAIN_SEED)
    kinds, shares = list(TRAIN_SHARES), list(TRAIN_SHARES.values())
    found: list[str] = []
    while len(found) < NUM_TRAIN:
        text = _sample(rng, kinds[int(rng.choice(len(kinds), p=shares))], kept_out)
        found.append(text)
    return tuple(found)


def _sample(rng: np.random.Generator, kind: str, kept_out: set[str]) -> str:
    """A caption of one kind that is not kept out."""
    while True:
        text = _draw(rng, kind).text()
        if text not in kept_out:
            return text


def _draw(rng: np.random.Generator, kind: str) -> Caption:
    if kind not in ("open_pair", "open_position"):
        return sample_caption(rng, kind)  # type: ignore[arg-type]  # the other kinds are tasks
    one, other = (str(shape) for shape in rng.choice(SHAPES, size=2, replace=False))
    color = str(rng.choice(COLORS))
    if kind == "open_position":
        colored = rng.random() < 0.5
        phrases = Phrase(one, color if colored else None), Phrase(other)
        return Caption("position", phrases, str(rng.choice(RELATIONS)))
    pair = Phrase(one, color), Phrase(other)
    return Caption("color_attribution", pair if rng.random() < 0.5 else pair[::-1])
