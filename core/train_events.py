"""What a fine-tune yields: frozen facts in the order in which they became true.

Standard library only; pictures and tensors are typed `Any`. Every event comes at an epoch's end, so that the weights of
a checkpoint are those the events before it told of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from core.config import ExploreConfig
from core.events import Cost, ExploreEvent

Command = Literal["sample", "save"]


@dataclass(frozen=True)
class TrainStarted:
    """What will be trained, on what.

    `sigmas`: num_steps + 1; `latent_dim` d = C H W; `clip_range` as it is used; by `eval_prompts` it is judged, and the
    first eight different ones of them make the sample sheets. `nfe_per_epoch` is the mean over the places of a random
    window.
    `micro_seconds`: wall time of one trained micro-batch at one timestep, forward and backward, measured just now.
    """

    sigmas: tuple[float, ...]
    num_parameters: int
    trainable_parameters: int
    clip_range: float
    latent_dim: int
    prompts: tuple[str, ...]
    eval_prompts: tuple[str, ...]
    sample_prompts: tuple[str, ...]
    nfe_per_epoch: float
    micro_seconds: float = field(compare=False)


@dataclass(frozen=True)
class EpochFinished:
    """One epoch's figures; epoch 0 is before training and holds the held-out ones only.

    metrics, each where it was measured: of the drawn pictures reward_mean, reward_std, reward_min, reward_max (the
    weighted sum), reward/<name>; group_std (mean within-prompt std), group_std_searched, group_std_unsearched,
    zero_std_share (groups with equal rewards, skipped), unscored_share (members without a finite reward), diversity
    (mean distance 1 - cosine of two pictures of a prompt, in an image encoder's features), noise_norm (||m||/sqrt(d) of
    the noises used). Of the updates: loss, approx_kl, kl_ref, clip_fraction, ratio_max_deviation (first update),
    grad_norm, grad_cosine_searched, updates. On held-out prompts, ODE: heldout (weighted sum), heldout/<name>, verifier
    (strict accuracy), kid, and the same with _ema (heldout_ema, heldout_ema/<name>, verifier_ema, kid_ema) for the
    averaged weights. From the second judgement on how much heldout and verifier have gained since the first, paired by
    prompt, with the bounds of a 95% interval over captions: heldout_gain, heldout_gain_low, heldout_gain_high,
    verifier_gain and so on, and heldout_ema_gain and so on. nfe and nfe_eval of this epoch alone; peak_memory_mb.

    `per_step` ("clip_fraction", "ratio_mean", "approx_kl") holds a value a timestep, None where it was not trained.
    `cost` is the training's since the beginning (drawing, searching, updating; not the looking). `seconds` by phase:
    rollout, search, reward, update, evaluate, sample, watch, other, total.
    """

    epoch: int
    metrics: dict[str, float]
    per_step: dict[str, tuple[float | None, ...]]
    cost: Cost
    seconds: dict[str, float] = field(compare=False)


@dataclass(frozen=True)
class SamplesDrawn:
    """The sheet of an epoch: fixed prompts and noise, images (P, H, W, 3) uint8, rewards (weighted sum) of each."""

    epoch: int
    images: Any
    rewards: tuple[float, ...]
    ema: bool


@dataclass(frozen=True)
class SearchWatched:
    """One group's first member searched with the weights of this epoch, as a session that opens in Explore.

    Its starting noise, random noises and search draw from the same named streams as in training. The session takes
    random noise outside its window, where training with a random window follows the ODE.
    """

    epoch: int
    prompt: str
    seed: int
    config: ExploreConfig
    events: tuple[ExploreEvent, ...]


@dataclass(frozen=True)
class CheckpointMade:
    """Everything to go on from here: `core.grpo.checkpoint.save(state, folder)` writes it."""

    epoch: int
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Diagnosed:
    """What the figures so far say in plain words, the most important first; told when it changes."""

    epoch: int
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class TrainFinished:
    """Nothing more will come. The last event before was a checkpoint of this epoch."""

    epoch: int
    cost: Cost


TrainEvent: TypeAlias = (
    TrainStarted | EpochFinished | SamplesDrawn | SearchWatched | CheckpointMade | Diagnosed | TrainFinished
)
