"""The rewards by name. Standard library only at import; torch and transformers come in with `load_reward`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import RewardError
from core.models.files import locate, missing_from_clip

if TYPE_CHECKING:
    from core.rewards.protocol import Reward


@dataclass(frozen=True)
class RewardSpec:
    """A reward the lab can load.

    `range` holds the lowest and highest possible score, None where there is no bound. `learned` rewards can be fooled.
    `source` is a folder under assets (embedded) or a Hugging Face repository that was downloaded before, and empty
    where no weights are needed. `any_prompt` is false where only captions of the embedded world can be judged.
    """

    name: str
    title: str
    help: str
    range: tuple[float | None, float | None]
    kind: Literal["clip", "verifier", "verifier-strict", "jpeg", "plugin"]
    learned: bool = False
    any_prompt: bool = True
    source: str = ""
    embedded: bool = True


_SPECS = (
    RewardSpec(
        name="shapes-clip",
        title="Shapes CLIP (learned)",
        help="A small CLIP trained on the shapes: cosine of picture and prompt. Learned, so it can be fooled.",
        range=(-1.0, 1.0),
        kind="clip",
        learned=True,
        source="shapes-clip",
    ),
    RewardSpec(
        name="shapes-verifier",
        title="Shapes verifier (partial credit)",
        help="Finds the shapes and grades colours, outlines, number and position against the caption, from 0 to 1.",
        range=(0.0, 1.0),
        kind="verifier",
        any_prompt=False,
    ),
    RewardSpec(
        name="shapes-verifier-strict",
        title="Shapes verifier (all or nothing)",
        help="1 when the picture shows exactly what the caption says, else 0, as GenEval counts.",
        range=(0.0, 1.0),
        kind="verifier-strict",
        any_prompt=False,
    ),
    RewardSpec(
        name="jpeg-compressibility",
        title="JPEG compressibility",
        help="Minus the size of the picture as a JPEG, in kB: plain pictures win. It never looks at the prompt.",
        range=(None, 0.0),
        kind="jpeg",
    ),
    RewardSpec(
        name="clip-vit-large",
        title="CLIP ViT-L/14 (learned)",
        help="OpenAI's CLIP: cosine similarity of picture and prompt, for any prompt. Learned, so it can be fooled.",
        range=(-1.0, 1.0),
        kind="clip",
        learned=True,
        source="openai/clip-vit-large-patch14",
        embedded=False,
    ),
)
REWARDS: dict[str, RewardSpec] = {spec.name: spec for spec in _SPECS}
_factories: dict[str, Callable[[str], Callable[..., Any]]] = {}


class Given:
    """A function of pictures and prompts as a reward."""

    def __init__(self, name: str, function: Callable[..., Any]):
        """`function` takes pictures (B, 3, H, W) and B prompts."""
        self.name = name
        self.function = function

    def __call__(self, images: Any, prompts: Sequence[str]) -> Any:
        """Its scores (B,)."""
        return self.function(images, prompts)


def add(spec: RewardSpec, factory: Callable[[str], Callable[..., Any]]) -> None:
    """Offer a plug-in's reward; `factory(device)` is called when it is loaded."""
    REWARDS[spec.name], _factories[spec.name] = spec, factory


def usable(name: str) -> tuple[bool, str]:
    """Whether a reward can be loaded here, and if not why, in plain words (else "")."""
    if name not in REWARDS:
        return False, _unknown(name)
    spec = REWARDS[name]
    if not spec.source:
        return True, ""
    folder, problem = locate(spec.source, embedded=spec.embedded, missing_from=missing_from_clip)
    return folder is not None, problem


def load_reward(name: str, *, device: str = "cpu") -> "Reward":
    """Load a reward, its weights in float32. RewardError when it cannot be."""
    if name not in REWARDS:
        raise RewardError(_unknown(name))
    spec = REWARDS[name]
    if spec.kind == "plugin":
        return _made(name, device)
    if spec.kind == "jpeg":
        from core.rewards.jpeg import JpegCompressibilityReward

        return JpegCompressibilityReward(name)
    if spec.kind != "clip":
        from core.rewards.verifier import VerifierReward

        return VerifierReward(name, strict=spec.kind == "verifier-strict")
    folder, problem = locate(spec.source, embedded=spec.embedded, missing_from=missing_from_clip)
    if folder is None:
        raise RewardError(f"{spec.title}: {problem}")
    return load_clip_folder(name, folder, device=device)


def _made(name: str, device: str) -> "Reward":
    try:
        function = _factories[name](device)
    except Exception as error:
        raise RewardError(f"{name}: its factory failed with {type(error).__name__}: {error}") from error
    if not callable(function):
        raise RewardError(f"{name}: its factory is expected to return a function, got {type(function).__name__}")
    return Given(name, function)


def load_clip_folder(name: str, folder: Path, *, device: str = "cpu") -> "Reward":
    """Load a CLIP folder as transformers writes it: model, tokenizer and preprocessor_config.json with mean and std."""
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.utils import logging

    from core.rewards.clip import CLIPReward

    logging.disable_progress_bar()  # whoever loads draws its own
    try:
        settings = json.loads((folder / "preprocessor_config.json").read_text())
        mean, std = settings["image_mean"], settings["image_std"]
        model = CLIPModel.from_pretrained(folder, dtype="float32", use_safetensors=True, local_files_only=True)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        model = model.to(device).requires_grad_(False)
        return CLIPReward(model, tokenizer, model.config.vision_config.image_size, mean, std, name)
    except RewardError:
        raise
    except Exception as error:  # transformers, safetensors and torch each have errors of their own
        raise RewardError(f"{name}: cannot be loaded from {folder}: {error!r}") from error


def _unknown(name: str) -> str:
    return f"expected one of the rewards {', '.join(REWARDS)}, got {name[:60]!r}"
