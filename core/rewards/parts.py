"""What a reward is made of: files from one or several places, and whether they are here. Standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.models import files


@dataclass(frozen=True)
class Part:
    """Files from one place: a folder under assets (embedded), or a Hugging Face repository.

    Each entry of `needs` lists the names under which one file may come, the published one first; files of `also` are
    taken along where there are such. `megabytes` is what is fetched, 0 where it comes with the lab.
    """

    key: str
    source: str
    needs: tuple[tuple[str, ...], ...]
    megabytes: int = 0
    licence: str = ""
    embedded: bool = False
    also: tuple[str, ...] = ()

    @property
    def published(self) -> tuple[str, ...]:
        """The files to fetch, by name; not every repository has all of them."""
        return (*(names[0] for names in self.needs), *self.also)

    def missing_from(self, folder: Path) -> str | None:
        """The first file that a folder lacks; None where it is complete."""
        return next((names[0] for names in self.needs if not any((folder / name).is_file() for name in names)), None)

    def locate(self, given: Path | None) -> tuple[Path | None, str]:
        """The folder with all of its files and "", or None and what is missing, in plain words.

        `given` is the folder that the operator named for the reward: with everything in it, or a folder a part.
        """
        if given is not None:
            folder = given / self.key if (given / self.key).is_dir() else given
            missing = self.missing_from(folder)
            return (None, f"its folder lacks {missing}") if missing else (folder, "")
        if self.embedded:
            folder = files.ASSETS / self.source
            missing = self.missing_from(folder)
            why = f"assets/{self.source} lacks {missing}, so this checkout is incomplete"
            return (None, why) if missing else (folder, "")
        snapshot = files.hub_folder(self.source)
        if snapshot is None:
            return None, f"the weights are not on this machine ({self.source}, {self.megabytes:,} MB)"
        missing = self.missing_from(snapshot)
        return (None, f"the weights on this machine lack {missing} ({self.source})") if missing else (snapshot, "")


def pick(folder: Path, names: Sequence[str]) -> Path:
    """The file that is there, a .safetensors before others. (`Part.locate` has made sure that there is one.)"""
    there = [folder / name for name in names if (folder / name).is_file()]
    return min(there, key=lambda path: path.suffix != ".safetensors")


WEIGHTS = ("model.safetensors",)
PREPROCESSING = (("config.json",), ("preprocessor_config.json",), ("tokenizer.json", "vocab.json"))
CLIP = (*PREPROCESSING, WEIGHTS)
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
IMAGEREWARD = (("ImageReward.pt", "ImageReward.safetensors"), ("med_config.json",))
VOCABULARY = (("vocab.txt",),)
AESTHETIC_HEAD = (
    ("aesthetic-model.pth", "aesthetic-model.safetensors", "sac+logos+ava1-l14-linearMSE.pth", "model.safetensors"),
)
