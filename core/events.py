"""What the engines yield: frozen facts in the order in which they became true.

Standard library only; arrays are typed `Any` (torch tensors and numpy pictures) so that the web process can import the
names without torch. Two runs of one config compare equal except for `seconds`, which is a measurement.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from core.measure_config import Estimate

INITIAL = -1  # the step's index where x_1 itself is searched: its candidates are starting noises


@dataclass(frozen=True)
class Cost:
    """What was spent since the session began. `nfe`: sample-forwards of the velocity network (a guidance pair is 2)."""

    nfe: int = 0
    decodes: int = 0
    reward_calls: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __add__(self, other: "Cost") -> "Cost":
        """Field by field."""
        return Cost(
            self.nfe + other.nfe,
            self.decodes + other.decodes,
            self.reward_calls + other.reward_calls,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class SessionStarted:
    """The schedule: `sigmas` has num_steps + 1 entries; `searched[s]` says whether step s is in the window.

    `excess_std[s]` is the noise that step s leaves beyond sigma_next (design: the step's unremoved noise).
    """

    sigmas: tuple[float, ...]
    searched: tuple[bool, ...]
    step_std: tuple[float, ...]
    excess_std: tuple[float, ...]
    latent_shape: tuple[int, ...]
    latents: Any  # x_1 before any search of it, (1, C, H, W) float32


@dataclass(frozen=True)
class IterationScored:
    """One iteration's candidates. The engine goes on with `elites`, unless others are sent back into the generator.

    Arrays: `images` (K, H, W, 3) uint8; per reward name and for `total` K floats (non-finite where the reward was);
    `norms` are ||m||/sqrt(d); `std_quantiles` (0, .25, .5, .75, 1) of search_std before the update; `cosine` is the
    mean pairwise cosine of the candidates; `over_noise` sqrt(1 + step_std^2 / sigma^2) for the literal reading, else 1.
    """

    step: int
    iteration: int
    images: Any
    rewards: dict[str, tuple[float, ...]]
    total: tuple[float, ...]
    elites: tuple[int, ...]
    norms: tuple[float, ...]
    kurtosis: tuple[float, ...]
    mean_norm: float
    std_quantiles: tuple[float, ...]
    cosine: float
    over_noise: float
    batch_size: int
    cost: Cost


@dataclass(frozen=True)
class StepCommitted:
    """A step of the searched trajectory is taken: the new latents and the one-step guess of the final image there.

    At step INITIAL a searched x_1 is chosen: `latents` is that noise, `log_prob` its own under N(0, 1).
    """

    step: int
    latents: Any  # after the step, (1, C, H, W) float32
    image: Any  # (H, W, 3) uint8, decoded estimate of x_0 at sigma_next
    rewards: dict[str, float]
    noise_norm: float  # ||m||/sqrt(d) of the committed noise; 0 for an ode step
    log_prob: float
    cost: Cost


@dataclass(frozen=True)
class ArmFinished:
    """A whole trajectory's outcome: "search", or one of the arms it is compared with, at the arm's own cost.

    `trail` is the chosen trajectory's total reward of the estimate after every step (empty for best-of arms).
    """

    arm: str
    image: Any  # (H, W, 3) uint8
    rewards: dict[str, float]
    trajectories: int  # how many whole trajectories were compared for it
    trail: tuple[float, ...]
    latents: Any  # final, (1, C, H, W) float32
    cost: Cost


@dataclass(frozen=True)
class SessionFinished:
    """Nothing more will come."""

    cost: Cost


@dataclass(frozen=True)
class CandidateFinished:
    """A candidate rolled out to its true final picture: what its one-step guess was a guess of.

    `rewards` and `total` are of that picture, `cost` is what this roll-out alone spent.
    """

    step: int
    iteration: int
    candidate: int
    image: Any  # (H, W, 3) uint8
    rewards: dict[str, float]
    total: float
    cost: Cost


@dataclass(frozen=True)
class MeasureStarted:
    """The schedule that a reliability measurement walks along: see `SessionStarted`."""

    sigmas: tuple[float, ...]
    step_std: tuple[float, ...]
    excess_std: tuple[float, ...]


@dataclass(frozen=True)
class Returned:
    """What a search of one iteration over the siblings would return.

    `rewards[mode]` are the true rewards of its result by result mode. The averaging test: `averaged` is the guessed
    total of the elites' mean brought to a real noise's size, `elite_mean` the mean of the elites' own guessed totals.
    """

    elites: tuple[int, ...]
    rewards: dict[str, dict[str, float]]
    averaged: float
    elite_mean: float


@dataclass(frozen=True)
class SiblingsMeasured:
    """One step of one row (a prompt and a seed), K siblings.

    `proxy[estimate][reward]` and `truth[reward]` hold K floats (`total` is the searched sum); distances are root mean
    squares between an estimate and its truth, in latents and in pixels of [0, 1]. `walked` are the rewards of the
    one-step guess after this step on the row's own trajectory, `ended` those of the picture which that leads to.
    `returned` is told of the two readings where they are measured. `guesses` (first estimate) and `finals` are pictures
    (K, H, W, 3) uint8. `cost[estimate]` is that estimate's own, `truth_cost` that of the K roll-outs.
    """

    row: int
    prompt: str
    seed: int
    step: int
    sigma: float
    sigma_next: float
    proxy: dict[Estimate, dict[str, tuple[float, ...]]]
    truth: dict[str, tuple[float, ...]]
    walked: dict[str, float]
    ended: dict[str, float]
    latent_distance: dict[Estimate, tuple[float, ...]]
    pixel_distance: dict[Estimate, tuple[float, ...]]
    returned: dict[Estimate, Returned]
    guesses: Any
    finals: Any
    cost: dict[Estimate, Cost]
    truth_cost: Cost

    @property
    def total_cost(self) -> Cost:
        """All estimates and the roll-outs together."""
        return sum(self.cost.values(), self.truth_cost)


ExploreEvent: TypeAlias = SessionStarted | IterationScored | StepCommitted | ArmFinished | SessionFinished


@dataclass(frozen=True)
class IterationState:
    """What must be remembered of a scored iteration to go on from it; the noises are drawn again by name."""

    elites: tuple[int, ...]
    total: tuple[float, ...]


@dataclass(frozen=True)
class ExploreState:
    """Where a stored session stands: enough to resume, replay or fork it (bit-identically on the same machine).

    `committed[s]` are the latents after step s; `iterations` those of the step under way; `arms` are finished arms and
    `arms_cost` what they cost together; `cost` is the search's own; `initial` is the x_1 that a search of it chose,
    None before it has, and where x_1 is not searched.
    """

    committed: tuple[Any, ...] = ()
    iterations: tuple[IterationState, ...] = ()
    arms: tuple[str, ...] = ()
    cost: Cost = Cost()
    trail: tuple[float, ...] = ()
    arms_cost: Cost = Cost()
    initial: Any = None


@dataclass(frozen=True)
class Branch:
    """The round of a stored session whose candidates are to be rolled out.

    `latents` are those before the step, (1, C, H, W) float32, and None at step INITIAL; `earlier` the step's iterations
    before this one: its noises are drawn again from them by name.
    """

    step: int
    iteration: int
    latents: Any = None
    earlier: tuple[IterationState, ...] = ()
