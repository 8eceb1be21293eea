"""The models by id. Standard library only at import; torch and diffusers come in with `load_model`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import ModelError
from core.models.files import find_adapter, locate, missing_from_pipeline
from core.models.folders import PIPELINES, describe

if TYPE_CHECKING:
    from core.models.protocol import FlowModel

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ATTENTION = ("add_k_proj", "add_q_proj", "add_v_proj", "to_add_out", "to_k", "to_out.0", "to_q", "to_v")
COMMUNITY = "Stability AI Community License"
NON_COMMERCIAL = "FLUX.1 [dev] Non-Commercial License"


@dataclass(frozen=True)
class ModelSpec:
    """A model the lab can load.

    `source` is a folder under assets (embedded), or a Hugging Face repository that was downloaded before: loading
    fetches nothing. `height` and `width` are in pixels; `guidance_scale` and `num_steps` are what its makers recommend,
    `schedule` how its noise levels are spaced; `max_sequence_length` counts T5's tokens. On a GPU the weights are
    loaded as `gpu_dtype`, on the CPU as float32. With `guidance_pair` guidance above 1 costs two forwards a sample.
    `lora_targets` are the layers that a fine-tune trains. `gated` repositories open once their licence is accepted.
    Numbers of weights count what the files hold, `transformer_width` its channels; `gflops` are those of one
    sample-forward of the transformer at this size; 0 where unknown.
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
    num_steps: int = 10
    schedule: str = "shift 3"
    lora_targets: tuple[str, ...] = ATTENTION
    licence: str = ""
    gated: bool = False
    transformer_weights: int = 0
    transformer_width: int = 0
    text_weights: int = 0
    vae_weights: int = 0
    gflops: float = 0.0

    @property
    def pipeline_class(self) -> str:
        """The diffusers pipeline that its folder holds; empty for a plug-in's own."""
        return PIPELINES.get(self.family, "")

    @property
    def page(self) -> str:
        """Where its licence is read and accepted; empty where nothing is fetched."""
        return f"https://huggingface.co/{self.source}" if self.source and not self.embedded else ""


# Weights and operations were counted on the real classes at true size without memory (torch's meta device), with the
# configurations that the makers publish; SD3.5's files also hold the table of positions (1,536 or 2,432 wide).
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
        licence="Apache-2.0",
        transformer_weights=2_914_832,
        transformer_width=128,
        text_weights=758_720,
        vae_weights=998_771,
        gflops=0.163,
    ),
    ModelSpec(
        id="stabilityai/stable-diffusion-3.5-medium",
        title="Stable Diffusion 3.5 Medium",
        help="2.5 billion parameters at 512x512, the size Flow-GRPO trains at. Needs a GPU to be of use.",
        family="sd3",
        source="stabilityai/stable-diffusion-3.5-medium",
        embedded=False,
        height=512,
        width=512,
        guidance_scale=4.5,
        max_sequence_length=256,
        num_steps=40,
        licence=COMMUNITY,
        gated=True,
        transformer_weights=2_469_663_936,
        transformer_width=1536,
        text_weights=5_580_620_800,
        vae_weights=83_819_683,
        gflops=2_443,
    ),
    ModelSpec(
        id="stabilityai/stable-diffusion-3.5-large",
        title="Stable Diffusion 3.5 Large",
        help="8.1 billion parameters at 512x512. Needs a large GPU.",
        family="sd3",
        source="stabilityai/stable-diffusion-3.5-large",
        embedded=False,
        height=512,
        width=512,
        guidance_scale=3.5,
        max_sequence_length=256,
        num_steps=28,
        licence=COMMUNITY,
        gated=True,
        transformer_weights=8_146_280_768,
        transformer_width=2432,
        text_weights=5_580_620_800,
        vae_weights=83_819_683,
        gflops=7_978,
    ),
    ModelSpec(
        id="black-forest-labs/FLUX.1-dev",
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
        num_steps=50,
        schedule="shift by size",
        licence=NON_COMMERCIAL,
        gated=True,
        transformer_weights=11_901_408_320,
        transformer_width=3072,
        text_weights=4_885_371_136,
        vae_weights=83_819_683,
        gflops=21_503,
    ),
    ModelSpec(
        id="black-forest-labs/FLUX.1-schnell",
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
        num_steps=4,
        schedule="even",
        licence="Apache-2.0",
        transformer_weights=11_891_178_560,
        transformer_width=3072,
        text_weights=4_885_371_136,
        vae_weights=83_819_683,
        gflops=17_686,
    ),
)
MODELS: dict[str, ModelSpec] = {spec.id: spec for spec in _SPECS}
# Names that sessions, presets and scripts of earlier versions use.
ALIASES = {
    "sd3.5-medium": "stabilityai/stable-diffusion-3.5-medium",
    "sd3.5-large": "stabilityai/stable-diffusion-3.5-large",
    "flux.1-dev": "black-forest-labs/FLUX.1-dev",
    "flux.1-schnell": "black-forest-labs/FLUX.1-schnell",
}
_factories: dict[str, Callable[[str], Any]] = {}
_folders: dict[str, Path] = {}
_adapters: dict[str, tuple[str, Path]] = {}


def find(id: str) -> ModelSpec | None:
    """The model of an id or of one of its earlier names; None where there is none."""
    return MODELS.get(ALIASES.get(id, id))


def add(spec: ModelSpec, factory: Callable[[str], Any]) -> None:
    """Offer a plug-in's model; `factory(device)` is called when it is loaded."""
    MODELS[spec.id], _factories[spec.id] = spec, factory


def add_folder(name: str, path: Path) -> None:
    """Offer the diffusers pipeline in a folder of this machine under a name of its own. Raises ModelError.

    Only for whoever starts the lab. Its sizes are read from it; the number of operations is known where it has as many
    weights as a model the lab knows.
    """
    folder = describe(path)
    if _folders.get(name) == folder.path:
        return
    _check_name(name)
    twin = next((spec for spec in _SPECS if spec.transformer_weights == folder.transformer_weights), None)
    flux = folder.family == "flux"
    MODELS[name] = ModelSpec(
        id=name,
        title=name,
        help=f"{PIPELINES[folder.family]} at {folder.side}x{folder.side}, a folder named when the lab was started.",
        family=folder.family,
        source="",
        embedded=False,
        height=folder.side,
        width=folder.side,
        guidance_scale=(3.5 if folder.distilled_guidance else 1.0) if flux else 4.5,
        max_sequence_length=(512 if folder.distilled_guidance else 256) if flux else 256 * folder.t5,
        guidance_pair=not flux,
        schedule="its own",
        transformer_weights=folder.transformer_weights,
        transformer_width=folder.transformer_width,
        text_weights=folder.text_weights,
        vae_weights=folder.vae_weights,
        gflops=twin.gflops if twin else 0.0,
    )
    _folders[name] = folder.path


def add_lora(name: str, base: str, path: Path) -> None:
    """Offer a model with a LoRA of this machine on top under a name of its own. Raises ModelError."""
    spec, file = find(base), find_adapter(Path(path).expanduser()).resolve()
    if spec is None or spec.family == "plugin":
        raise ModelError(f"{name}: {_unknown(base)}, to put a LoRA on")
    if _adapters.get(name) == (spec.id, file):
        return
    _check_name(name)
    text = f"{spec.title} with a LoRA that was named when the lab was started. {spec.help}"
    MODELS[name] = replace(spec, id=name, title=name, help=text)
    _adapters[name] = (spec.id, file)


def usable(id: str) -> tuple[bool, str]:
    """Whether a model can be loaded here, and if not why, in plain words (else "")."""
    spec = find(id)
    if spec is None:
        return False, _unknown(id)
    if spec.id in _factories:
        return True, ""
    folder, problem = locate_model(spec)
    return folder is not None, problem


def locate_model(spec: ModelSpec) -> tuple[Path | None, str]:
    """The folder with a model's complete pipeline and "", or None and what is missing."""
    base = _adapters.get(spec.id, (spec.id,))[0]
    if base in _folders:
        missing = missing_from_pipeline(_folders[base])
        return (None, f"its folder lacks {missing} by now") if missing else (_folders[base], "")
    folder, problem = locate(spec.source, embedded=spec.embedded, missing_from=missing_from_pipeline)
    if folder is None and spec.gated:
        problem += f", once its licence is accepted at {spec.page}"
    return folder, problem


def load_model(id: str, *, device: str = "cpu") -> "FlowModel":
    """Load a model (float32 on the CPU, its `gpu_dtype` elsewhere), frozen, LoRA merged. ModelError where it fails."""
    spec = find(id)
    if spec is None:
        raise ModelError(_unknown(id))
    if spec.id in _factories:
        try:
            return _factories[spec.id](device)
        except Exception as error:
            raise ModelError(f"{id}: its factory failed with {type(error).__name__}: {error}") from error
    folder, problem = locate_model(spec)
    if folder is None:
        raise ModelError(f"{spec.title}: {problem}")
    from core.models.loading import load_folder

    model = load_folder(spec, folder, device=device)
    if spec.id in _adapters:
        from core.models.adapters import load_adapter, merge_adapters

        load_adapter(model, _adapters[spec.id][1])
        merge_adapters(model)
    return model


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ModelError(f"a model's name is expected to be of letters, digits, '.', '_' and '-', got {name!r:.60}")
    if find(name):
        raise ModelError(f"there is a model named {name} already: choose another name")


def _unknown(id: str) -> str:
    return f"expected one of the models {', '.join(MODELS)}, got {id[:60]!r}"
