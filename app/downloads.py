"""What can be fetched for a model or a reward: from where, how much, under which licence. No network, no torch."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import LabError
from core.models import previews
from core.models import registry as models
from core.models.files import hub_cache
from core.rewards import registry as rewards

# A pipeline's folders: its repository often holds the same weights a second time, as one file for other programs.
_PIPELINE = (
    "scheduler",
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
    "tokenizer",
    "tokenizer_2",
    "tokenizer_3",
    "transformer",
    "vae",
)
PIPELINE_FILES = ("model_index.json", *(f"{part}/*" for part in _PIPELINE))
OTHER_FORMS = ("*fp16*", "*.bin", "*.msgpack", "*.onnx*", "*.gguf")


class DownloadError(LabError):
    """A download cannot begin or did not end; `state` is licence, gated, absent, offline, full or failed."""

    def __init__(self, state: str, text: str):
        """`text` says what to do about it."""
        self.state = state
        super().__init__(text)


@dataclass(frozen=True)
class Source:
    """A repository, the files of it that are wanted, and their size where it is known (else 0)."""

    repository: str
    wanted: tuple[str, ...]
    megabytes: int = 0
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Offer:
    """What is fetched for a model or a reward. Of what is `gated` somebody has to accept the licence, at its page."""

    name: str
    title: str
    sources: tuple[Source, ...]
    licence: str = ""
    page: str = ""
    gated: bool = False

    @property
    def megabytes(self) -> int:
        """Of all sources together."""
        return sum(source.megabytes for source in self.sources)


def find_offer(name: str) -> Offer | None:
    """What is fetched for a model or a reward of a name; None where nothing is. Raises LabError for an unknown name."""
    spec = models.find(name)
    if spec is not None:
        return _of_model(spec) if spec.source and not spec.embedded else None
    preview = _preview(name)
    if preview is not None:
        source = Source(preview.source, ("config.json", "*.safetensors"), preview.megabytes)
        return Offer(name, preview.title, (source,), preview.licence)
    reward = rewards.find(name)
    if reward is None:
        raise LabError(f"expected a model or a reward, such as {', '.join(known_offers())}, got {name[:60]!r}")
    parts = [part for part in reward.parts if part.source and not part.embedded]
    sources = tuple(Source(part.source, part.published, part.megabytes) for part in parts)
    return Offer(reward.name, reward.title, sources, reward.licence) if sources else None


def known_offers() -> list[str]:
    """The names of everything that can be fetched."""
    return [name for name in [*models.MODELS, *rewards.REWARDS] if find_offer(name) is not None]


def is_here(name: str) -> tuple[bool, str]:
    """Whether a model or a reward can be used, and if not why."""
    if models.find(name) is not None:
        return models.usable(name)
    return previews.is_here(name) if _preview(name) else rewards.usable(name)


def folder_of(repository: str) -> Path:
    """Where the hub's client keeps a repository's files."""
    return hub_cache() / f"models--{repository.replace('/', '--')}"


def licence_text(offer: Offer) -> str:
    """What has to be read and accepted before a gated model is fetched."""
    return (
        f"{offer.title} comes under the {offer.licence}: read it and accept it at {offer.page}, "
        "then say so with --accept-licence"
    )


def _preview(name: str) -> previews.Preview | None:
    return next((one for one in previews.PREVIEWS.values() if one.name == name), None)


def _of_model(spec: models.ModelSpec) -> Offer:
    megabytes = 2 * (spec.transformer_weights + spec.text_weights + spec.vae_weights) // 10**6  # they come in 16 bits
    source = Source(spec.source, PIPELINE_FILES, megabytes, OTHER_FORMS)
    return Offer(spec.id, spec.title, (source,), spec.licence, spec.page, spec.gated)
