"""The rewards by name. Standard library only at import; torch and transformers come in with `load_reward`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import RewardError
from core.geneval.prompts import parse
from core.rewards.degrade import DegradedReward, read_degraded
from core.rewards.parts import (
    AESTHETIC_HEAD,
    CLIP,
    IMAGEREWARD,
    PREPROCESSING,
    TOKENIZER_FILES,
    VOCABULARY,
    WEIGHTS,
    Part,
)

if TYPE_CHECKING:
    from core.rewards.protocol import Reward

SHAPES_EXAMPLE = "a photo of a red circle left of a blue star"
GENEVAL_EXAMPLE = "a photo of a red apple and a green cup"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
Kind = Literal["clip", "pickscore", "aesthetic", "imagereward", "geneval", "verifier", "jpeg", "absent", "plugin"]


@dataclass(frozen=True)
class RewardSpec:
    """A reward the lab can load. Of every reward more is better; a weight below 0 climbs down.

    `range` holds the lowest and highest possible score, None where there is no bound. `learned` rewards can be fooled.
    `prompts` says what can be judged: any, or only captions of the embedded world (shapes) or GenEval's sentences.
    `strict` verifiers know all or nothing. `memory` is in MB, with weights in float32. `absent` rewards are only named:
    `why_absent` tells what stands against them.
    """

    name: str
    title: str
    help: str
    range: tuple[float | None, float | None]
    kind: Kind
    learned: bool = False
    prompts: Literal["any", "shapes", "geneval"] = "any"
    strict: bool = False
    parts: tuple[Part, ...] = ()
    memory: int = 0
    why_absent: str = ""

    @property
    def any_prompt(self) -> bool:
        """Whether every prompt can be judged."""
        return self.prompts == "any"

    @property
    def embedded(self) -> bool:
        """Whether all of it comes with the lab."""
        return self.kind not in ("absent", "plugin") and all(part.embedded for part in self.parts)

    @property
    def sources(self) -> tuple[str, ...]:
        """The repositories that its files are fetched from."""
        return tuple(part.source for part in self.parts if part.source and not part.embedded)

    @property
    def download(self) -> int:
        """What is fetched for it, in MB."""
        return sum(part.megabytes for part in self.parts)

    @property
    def licence(self) -> str:
        """The licences of what is fetched for it; empty where nothing is."""
        return ", ".join(dict.fromkeys(part.licence for part in self.parts if part.licence))


CLIP_LARGE = Part("clip", "openai/clip-vit-large-patch14", CLIP, 1_714, "MIT", also=TOKENIZER_FILES)
OWLV2 = Part("detector", "google/owlv2-base-patch16-ensemble", CLIP, 620, "Apache-2.0", also=TOKENIZER_FILES)
PICK = (
    Part("weights", "yuvalkirstain/PickScore_v1", (("config.json",), WEIGHTS), 3_945, "MIT"),
    Part("processor", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", PREPROCESSING, 5, "MIT", also=TOKENIZER_FILES),
)
_SPECS = (
    RewardSpec(
        name="shapes-clip",
        title="Shapes CLIP (learned)",
        help="A small CLIP trained on the shapes: cosine of picture and prompt. Learned, so it can be fooled.",
        range=(-1.0, 1.0),
        kind="clip",
        learned=True,
        parts=(Part("clip", "shapes-clip", CLIP, embedded=True),),
    ),
    RewardSpec(
        name="shapes-verifier",
        title="Shapes verifier (partial credit)",
        help="Finds the shapes and grades colours, outlines, number and position against the caption, from 0 to 1.",
        range=(0.0, 1.0),
        kind="verifier",
        prompts="shapes",
    ),
    RewardSpec(
        name="shapes-verifier-strict",
        title="Shapes verifier (all or nothing)",
        help="1 when the picture shows exactly what the caption says, else 0, as GenEval counts.",
        range=(0.0, 1.0),
        kind="verifier",
        strict=True,
        prompts="shapes",
    ),
    RewardSpec(
        name="jpeg-compressibility",
        title="JPEG compressibility",
        help="Minus the size of the picture as a JPEG, in kB: plain pictures win. It never looks at the prompt.",
        range=(None, 0.0),
        kind="jpeg",
    ),
    RewardSpec(
        name="imagereward",
        title="ImageReward (learned)",
        help="What people prefer, learned from 137,000 comparisons; about -2 to 2. Learned, so it can be fooled.",
        range=(None, None),
        kind="imagereward",
        learned=True,
        parts=(
            Part("weights", "THUDM/ImageReward", IMAGEREWARD, 1_790, "Apache-2.0"),
            Part("tokenizer", "google-bert/bert-base-uncased", VOCABULARY, 1, "Apache-2.0"),
        ),
        memory=1_790,
    ),
    RewardSpec(
        name="pickscore",
        title="PickScore (learned)",
        help="What people pick of two pictures, learned from 500,000 choices; about 15 to 25. It can be fooled.",
        range=(-100.0, 100.0),
        kind="pickscore",
        learned=True,
        parts=PICK,
        memory=3_945,
    ),
    RewardSpec(
        name="clip-vit-large",
        title="CLIPScore, ViT-L/14 (learned)",
        help="OpenAI's CLIP: cosine similarity of picture and prompt, for any prompt. Learned, so it can be fooled.",
        range=(-1.0, 1.0),
        kind="clip",
        learned=True,
        parts=(CLIP_LARGE,),
        memory=1_714,
    ),
    RewardSpec(
        name="aesthetic",
        title="Aesthetic predictor (learned)",
        help="How much people like the look of a picture, about 1 to 10. It never looks at the prompt.",
        range=(None, None),
        kind="aesthetic",
        learned=True,
        parts=(
            CLIP_LARGE,
            Part("head", "trl-lib/ddpo-aesthetic-predictor", AESTHETIC_HEAD, 4, "Apache-2.0"),
        ),
        memory=1_718,
    ),
    RewardSpec(
        name="geneval",
        title="GenEval (partial credit)",
        help="Looks for what the sentence asks for with OWLv2, names colours with CLIP; from 0 to 1.",
        range=(0.0, 1.0),
        kind="geneval",
        learned=True,
        prompts="geneval",
        parts=(OWLV2, CLIP_LARGE),
        memory=2_334,
    ),
    RewardSpec(
        name="geneval-strict",
        title="GenEval (all or nothing)",
        help="1 when all that the sentence asks for is found, else 0, as GenEval counts, but found by OWLv2.",
        range=(0.0, 1.0),
        kind="geneval",
        learned=True,
        strict=True,
        prompts="geneval",
        parts=(OWLV2, CLIP_LARGE),
        memory=2_334,
    ),
    RewardSpec(
        name="hpsv2",
        title="HPSv2 (learned)",
        help="What people prefer, by the makers of HPD v2. Not in this lab.",
        range=(None, None),
        kind="absent",
        learned=True,
        why_absent="its package hpsv2 1.2.0 asks for protobuf below 4 and pytest 7.2.0, which the lab cannot run with",
    ),
)
REWARDS: dict[str, RewardSpec] = {spec.name: spec for spec in _SPECS}
_factories: dict[str, Callable[[str], Callable[..., Any]]] = {}
_folders: dict[str, Path] = {}


class Given:
    """A function of pictures and prompts as a reward."""

    def __init__(self, name: str, function: Callable[..., Any]):
        """`function` takes pictures (B, 3, H, W) and B prompts."""
        self.name = name
        self.function = function

    def __call__(self, images: Any, prompts: Sequence[str]) -> Any:
        """Its scores (B,)."""
        return self.function(images, prompts)


def find(name: str) -> RewardSpec | None:
    """The reward of a name; None where there is none. A degraded one (`NAME~0.6`) is told as such."""
    degraded = read_degraded(name)
    if degraded is None:
        return REWARDS.get(name)
    spec = REWARDS.get(degraded.reward)
    if spec is None:
        return None
    kept = f"{degraded.reliability:g}"
    help = f"{spec.help} Candidates are ranked by it with noise, of a rank correlation of {kept} with it."
    return replace(spec, name=name, title=f"{spec.title}, degraded to {kept}", help=help)


def add(spec: RewardSpec, factory: Callable[[str], Callable[..., Any]]) -> None:
    """Offer a plug-in's reward; `factory(device)` is called when it is loaded."""
    REWARDS[spec.name], _factories[spec.name] = spec, factory


def add_folder(name: str, path: Path) -> None:
    """Take a reward's files from a folder of this machine; a new name offers the CLIP in it. Raises RewardError.

    Only for whoever starts the lab. Published .pt and .pth files are read as tensors alone.
    """
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise RewardError(f"{name}: expected a folder, got {str(path)!r}")
    spec = REWARDS.get(name)
    if spec is None:
        if not NAME.fullmatch(name):
            raise RewardError(f"{name!r:.60}: expected a name of letters, digits, '.', '_' and '-'")
        help = "Cosine similarity of picture and prompt in a CLIP that was named when the lab was started."
        parts = (Part("clip", "", CLIP),)
        spec = RewardSpec(name, name, help, (-1.0, 1.0), "clip", learned=True, parts=parts)
    elif not spec.parts:
        raise RewardError(f"{name}: has no files that a folder could hold")
    problem = next(filter(None, (part.locate(folder)[1] for part in spec.parts)), "")
    if problem:
        raise RewardError(f"{name}: {problem}")
    REWARDS[name], _folders[name] = spec, folder


def usable(name: str) -> tuple[bool, str]:
    """Whether a reward can be loaded here, and if not why, in plain words (else "")."""
    spec = find(name)
    if spec is None:
        return False, _unknown(name)
    if spec.kind == "absent":
        return False, spec.why_absent
    _, problem = locate_parts(spec)
    return not problem, problem


def can_judge(name: str, prompt: str) -> bool:
    """Whether a reward has a verdict on a prompt; what is not known here is not held against it."""
    spec = find(name)
    if spec is None or spec.any_prompt:
        return True
    if spec.prompts == "geneval":
        return parse(prompt) is not None
    from core.shapes.scenes import parse_caption

    return parse_caption(prompt) is not None


def what_it_judges(name: str) -> str:
    """Which prompts a reward has a verdict on, in words."""
    spec = find(name)
    title, prompts = (spec.title, spec.prompts) if spec else (name, "any")
    return {
        "any": f"{title} can judge every prompt",
        "shapes": f"{title} can judge only captions of the embedded world, such as {SHAPES_EXAMPLE!r}",
        "geneval": f"{title} can judge only GenEval's sentences, such as {GENEVAL_EXAMPLE!r}",
    }[prompts]


def locate_parts(spec: RewardSpec) -> tuple[dict[str, Path], str]:
    """Where each of a reward's parts lies, by its key, and "", or what is missing and how to get it."""
    base = degraded.reward if (degraded := read_degraded(spec.name)) else spec.name
    given, found = _folders.get(base), {}
    for part in spec.parts:
        folder, problem = part.locate(given)
        if folder is None:
            fetch = "" if given or part.embedded else f"; `python -m app download {base}` fetches them"
            return {}, problem + fetch
        found[part.key] = folder
    return found, ""


def load_reward(name: str, *, device: str = "cpu") -> "Reward":
    """Load a reward, its weights in float32. RewardError when it cannot be."""
    fine, problem = usable(name)
    spec = find(name)
    if spec is None or not fine:
        raise RewardError(problem if spec is None else f"{spec.title}: {problem}")
    if degraded := read_degraded(name):
        return DegradedReward(load_reward(degraded.reward, device=device), degraded, name)
    if spec.kind == "plugin":
        return _made(name, device)
    from core.rewards.loading import load

    return load(spec, locate_parts(spec)[0], device)


def _made(name: str, device: str) -> "Reward":
    try:
        function = _factories[name](device)
    except Exception as error:
        raise RewardError(f"{name}: its factory failed with {type(error).__name__}: {error}") from error
    if not callable(function):
        raise RewardError(f"{name}: its factory is expected to return a function, got {type(function).__name__}")
    return Given(name, function)


def _unknown(name: str) -> str:
    return f"expected one of the rewards {', '.join(REWARDS)}, got {name[:60]!r}"
