"""The models by id. Standard library only at import; torch and diffusers come in with `load_model`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import ModelError
from core.models.files import locate, missing_from_pipeline

if TYPE_CHECKING:
    from core.models.protocol import FlowModel


@dataclass(frozen=True)
class ModelSpec:
    """A model the lab can load.

    `source` is a folder under assets (embedded) or a Hugging Face repository that was downloaded before; the lab
    fetches nothing. `height` and `width` are in pixels; `guidance_scale` is the one its makers recommend;
    `max_sequence_length` counts T5's tokens. On a GPU the weights are loaded as `gpu_dtype`, on the CPU as float32.
    With `guidance_pair` guidance above 1 costs two forwards a sample.
    """

    id: str
    title: str
    help: str
    family: Literal["sd3", "flux", "plugin"]
    source: str
    embedded: bool
    height: int
    width: int
    guidance_scale: float
    max_sequence_length: int
    gpu_dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    guidance_pair: bool = True


_SPECS = (
    ModelSpec(
        id="shapes-sd3",
        title="Shapes (embedded)",
        help="A small SD3 that came with the lab: 64x64 pictures of coloured shapes, a search in seconds on a CPU.",
        family="sd3",
        source="shapes-sd3",
        embedded=True,
        height=64,
        width=64,
        guidance_scale=4.5,
        max_sequence_length=0,
        gpu_dtype="float32",
    ),
    ModelSpec(
        id="sd3.5-medium",
        title="Stable Diffusion 3.5 Medium",
        help="2.5 billion parameters at 512x512, the size Flow-GRPO trains at. Needs a GPU to be of use.",
        family="sd3",
        source="stabilityai/stable-diffusion-3.5-medium",
        embedded=False,
        height=512,
        width=512,
        guidance_scale=4.5,
        max_sequence_length=256,
    ),
    ModelSpec(
        id="flux.1-dev",
        title="FLUX.1 [dev]",
        help="12 billion parameters at 512x512, guidance distilled into the network. Needs a large GPU.",
        family="flux",
        source="black-forest-labs/FLUX.1-dev",
        embedded=False,
        height=512,
        width=512,
        guidance_scale=3.5,
        max_sequence_length=512,
        guidance_pair=False,
    ),
    ModelSpec(
        id="flux.1-schnell",
        title="FLUX.1 [schnell]",
        help="12 billion parameters at 512x512, distilled to a few steps; it has no guidance. Needs a large GPU.",
        family="flux",
        source="black-forest-labs/FLUX.1-schnell",
        embedded=False,
        height=512,
        width=512,
        guidance_scale=1.0,
        max_sequence_length=256,
        guidance_pair=False,
    ),
)
MODELS: dict[str, ModelSpec] = {spec.id: spec for spec in _SPECS}
_factories: dict[str, Callable[[str], Any]] = {}


def add(spec: ModelSpec, factory: Callable[[str], Any]) -> None:
    """Offer a plug-in's model; `factory(device)` is called when it is loaded."""
    MODELS[spec.id], _factories[spec.id] = spec, factory


def usable(id: str) -> tuple[bool, str]:
    """Whether a model can be loaded here, and if not why, in plain words (else "")."""
    if id not in MODELS:
        return False, _unknown(id)
    if id in _factories:
        return True, ""
    folder, problem = locate_model(MODELS[id])
    return folder is not None, problem


def locate_model(spec: ModelSpec) -> tuple[Path | None, str]:
    """The folder with a model's complete pipeline and "", or None and what is missing."""
    return locate(spec.source, embedded=spec.embedded, missing_from=missing_from_pipeline)


def load_model(id: str, *, device: str = "cpu") -> "FlowModel":
    """Load a model (float32 on the CPU, its `gpu_dtype` elsewhere), frozen. ModelError when it cannot be."""
    if id not in MODELS:
        raise ModelError(_unknown(id))
    spec = MODELS[id]
    if id in _factories:
        try:
            return _factories[id](device)
        except Exception as error:
            raise ModelError(f"{id}: its factory failed with {type(error).__name__}: {error}") from error
    folder, problem = locate_model(spec)
    if folder is None:
        raise ModelError(f"{spec.title}: {problem}")
    from core.models.loading import load_folder

    return load_folder(spec, folder, device=device)


def _unknown(id: str) -> str:
    return f"expected one of the models {', '.join(MODELS)}, got {id[:60]!r}"
