"""Page Train: fine-tunes asked for, watched while they run, and what they made. Drawn by train.js from /lab/api."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from app.prompt_sets import prompt_sets
from app.reuse import CHANGED
from app.settings import default_threads
from app.ui.document import document
from app.ui.form import CHOICES
from core.config import PRESET_HELP as SEARCH_HELP
from core.config import PRESETS, SearchConfig
from core.models.registry import ALIASES
from core.prompts import FEWEST_SPLIT, GENERATED, judged_by, prompt_set, prompt_set_names
from core.search.registry import ALGORITHMS
from core.train_config import (
    ADVANTAGE_STDS,
    NOISE_SOURCES,
    TRAIN_PRESETS,
    TrainConfig,
    preset,
    to_dict,
)
from core.train_help import PRESET_HELP, TRAIN_HELP

if TYPE_CHECKING:
    from app.services import Lab

STYLES = ("lab", "shell", "charts", "doors", "asked", "train")
TOLD = ("name", "title", "help", "usable", "why_not")
SHOWN = 12  # prompts of a set that the form shows
Kind = Literal["number", "flag", "choice", "weights", "lines", "text"]
GROUPS = {
    "search": "Search",
    "sampling": "Drawing",
    "learning": "Learning",
    "adapter": "What is trained",
    "looking": "Looking and keeping",
    "machine": "Machine",
}


@dataclass(frozen=True)
class Field:
    """One setting: its name in the config, its label, how it is filled in, and the folded group that it lies in.

    `empty` says what an empty number means, where one may be empty.
    """

    name: str
    label: str
    kind: Kind = "number"
    group: str = ""
    empty: str = ""


FIELDS: tuple[Field, ...] = (
    Field("preset", "Preset", "choice"),
    Field("model", "Model", "choice"),
    Field("rewards", "Rewards and weights", "weights"),
    Field("prompt_set", "Prompts", "choice"),
    Field("prompts", "Your prompts", "lines"),
    Field("noise_source", "Noise", "choice"),
    Field("searched_fraction", "Searched share"),
    Field("epochs", "Epochs"),
    Field("max_seconds", "At most, seconds", empty="no limit"),
    Field("prompts_per_epoch", "Prompts an epoch"),
    Field("group_size", "Pictures a prompt (G)"),
    Field("search.preset", "Search preset", "choice", "search"),
    Field("search.num_candidates", "Candidates (K)", group="search"),
    Field("search.num_iterations", "Iterations (N)", group="search"),
    Field("search.elite_fraction", "Elite fraction (P)", group="search"),
    Field("search.reading", "Reading", "choice", "search"),
    Field("search.result", "Result", "choice", "search"),
    Field("search.selection", "Selection", "choice", "search"),
    Field("search.min_std", "Least spread", group="search"),
    Field("search.algorithm", "Algorithm", "choice", "search"),
    Field("num_steps", "Steps", group="sampling"),
    Field("share_start", "One start a prompt", "flag", "sampling"),
    Field("sde_window", "Noisy steps", group="sampling", empty="all but the last"),
    Field("window_min", "Window from \u03c3", group="sampling"),
    Field("window_max", "Window up to \u03c3", group="sampling"),
    Field("step_kind", "Step kind", "choice", "sampling"),
    Field("noise_level", "Noise level", group="sampling", empty="the step kind\u2019s own"),
    Field("guidance_scale", "Guidance", group="sampling"),
    Field("updates_per_epoch", "Updates an epoch", group="learning"),
    Field("learning_rate", "Learning rate", group="learning"),
    Field("clip_range", "Clip range", group="learning", empty="scaled from 1e-4"),
    Field("kl_beta", "KL weight (\u03b2)", group="learning"),
    Field("advantage_std", "Advantages divided by", "choice", "learning"),
    Field("advantage_clip", "Advantages cut at", group="learning"),
    Field("max_grad_norm", "Longest gradient", group="learning"),
    Field("weight_decay", "Weight decay", group="learning"),
    Field("lora_rank", "LoRA rank", group="adapter"),
    Field("lora_alpha", "LoRA alpha", group="adapter"),
    Field("ema", "Running average (EMA)", "flag", "adapter"),
    Field("ema_decay", "EMA decay", group="adapter"),
    Field("eval_prompts", "Held-out prompts", group="looking"),
    Field("eval_steps", "Steps when judged", group="looking"),
    Field("eval_every", "Judge every", group="looking"),
    Field("sample_every", "Samples every", group="looking"),
    Field("watch_every", "Watch a search every", group="looking"),
    Field("checkpoint_every", "Checkpoint every", group="looking"),
    Field("name", "Name", "text", "machine"),
    Field("seed", "Seed", group="machine"),
    Field("threads", "Threads", group="machine"),
    Field("micro_batch", "Pictures at once", group="machine"),
    Field("gradient_checkpointing", "Gradient checkpointing", "flag", "machine"),
)
HELP = TRAIN_HELP | {
    "prompts": f"One a line. From {FEWEST_SPLIT} lines on every fourth is kept for judging and never trained; with "
    "fewer the run is judged on the lines that it is trained on.",
    "rewards": "What scores the pictures: the weighted sum is trained. A reward of weight 0 is only watched: where the "
    "sum rises and it falls, the sum is being fooled.",
    "name": "What the run, and the model that it makes, are called in Library and in menus.",
}
WORDS = {"random": "random", "search": "searched", "best_of_k": "best of K whole trajectories"}


def page(lab: "Lab") -> str:
    """The page's document, with everything that its form offers."""
    return document("train", "Train", facts(lab), styles=STYLES)


def facts(lab: "Lab") -> dict[str, Any]:
    """The fields with their help and choices, the presets' values, and what a lab offers to be chosen."""
    options = lab.options()
    return {
        "models": [{name: one[name] for name in TOLD} for one in options["models"] if "+" not in one["name"]],
        "rewards": [{name: one[name] for name in TOLD} for one in options["rewards"]],
        "sets": [_set(name) for name in prompt_set_names()],
        "fields": [vars(field) | {"help": HELP[field.name], "choices": choices_of(field.name)} for field in FIELDS],
        "groups": GROUPS,
        "fewest": FEWEST_SPLIT,
        "changed": CHANGED,
        "presets": [{"name": one, "help": PRESET_HELP[one], "values": flat(preset(one))} for one in TRAIN_PRESETS],
        "searches": [
            {"name": name, "help": SEARCH_HELP[name], "values": _search(search)} for name, search in PRESETS.items()
        ],
    }


def flat(config: TrainConfig) -> dict[str, Any]:
    """A config's values by the form's field; what this machine decides is as it is here."""
    plain = to_dict(config)
    del plain["search"]
    here = {"model": ALIASES.get(config.model, config.model), "threads": default_threads()}
    return plain | _search(config.search) | here


def _search(search: SearchConfig) -> dict[str, Any]:
    return {f"search.{name}": value for name, value in vars(search).items()}


def choices_of(name: str) -> list[tuple[str, str]] | None:
    """(value, words) of a choice that does not hang on the lab; None for the others."""
    fixed: Mapping[str, Any] = {
        **CHOICES,
        "preset": TRAIN_PRESETS,
        "search.preset": PRESETS,
        "search.algorithm": ALGORITHMS,
        "noise_source": NOISE_SOURCES,
        "advantage_std": ADVANTAGE_STDS,
    }
    if name not in fixed:
        return None
    return [(one, WORDS.get(one, one.replace("_", " "))) for one in fixed[name] if (name, one) != ("step_kind", "ode")]


def _set(name: str) -> dict[str, Any]:
    """A set as the form tells it: how many different prompts are learned from, what judges, and some of the former."""
    learned, judged = tuple(dict.fromkeys(prompt_set(name, "train"))), prompt_set(name, "eval")
    about = GENERATED.get(name) or prompt_sets()[name].help
    counted = {"train": len(learned), "judged": vars(judged_by(learned, judged))}
    return {"name": name, "help": about, "some": learned[:SHOWN]} | counted
