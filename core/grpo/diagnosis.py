"""What the figures of a fine-tune say, in plain words: a pure function of its history."""

from collections.abc import Mapping, Sequence
from typing import Literal

from core.prompts import judged_on
from core.train_config import TrainConfig

RECENT = 5  # epochs that a sentence looks back on
OPPOSED = -0.1  # cosine of two gradients: those of few pictures, which are mostly noise, lie around 0
FLAT_SHARE, CLIPPED_SHARE, QUIET_CLIP = 0.5, 0.5, 0.001
SMALL_NOISE, DRIFT_FACTOR, VARIETY_LOST, RATIO_TOLERANCE = 0.8, 2.0, 0.5, 0.01
MIN_EPOCHS = 10  # before this nothing is said of a trend
RISEN, EVEN = "has risen", "no change that can be told from chance"

History = Sequence[Mapping[str, float]]
Tone = Literal["good", "even", "bad"]


def diagnose(history: History, config: TrainConfig) -> tuple[str, ...]:
    """Sentences about a history of metrics (`epoch` among them, epoch 0 first), the most important first."""
    trained = [one for one in history if one.get("epoch", 0) > 0]
    if not trained:
        return ()
    found = [
        _flat(trained),
        _unscored(trained),
        _hacking(history),
        _clipping(trained, config),
        _noise(trained, config),
        _variety(trained),
        _drift(history),
        _cosine(trained),
        _trend(history, config),
    ]
    return tuple(sentence for sentence in found if sentence)


def tone_of(sentence: str) -> Tone:
    """Whether a sentence tells of something to be glad of, of nothing, or of something to mend."""
    return "good" if RISEN in sentence else "even" if EVEN in sentence else "bad"


def _recent(trained: History, name: str) -> float | None:
    values = [one[name] for one in trained[-RECENT:] if name in one]
    return sum(values) / len(values) if values else None


def _ends(history: History, name: str) -> tuple[float, float] | None:
    """The first and the last value of a figure, where there are two."""
    values = [one[name] for one in history if name in one]
    return (values[0], values[-1]) if len(values) > 1 else None


def _flat(trained: History) -> str:
    share = _recent(trained, "zero_std_share") or 0.0
    if share < FLAT_SHARE:
        return ""
    return f"{share:.0%} of groups have equal rewards, nothing to learn from them: raise the noise or the group size."


def _unscored(trained: History) -> str:
    share = _recent(trained, "unscored_share") or 0.0
    return f"{share:.0%} of pictures got no finite reward and teach nothing." if share > 0 else ""


def _judged(history: History, name: str) -> tuple[str, Mapping[str, float]]:
    """A held-out figure's name, of the averaged weights where there are such, and the epoch judged last (or none)."""
    key = f"{name}_ema" if any(f"{name}_ema" in one for one in history) else name
    return key, next((one for one in reversed(history) if key in one), {})


def _hacking(history: History) -> str:
    """The trained reward surely rises on held-out prompts while the verifier, which is exact, surely falls."""
    reward, last = _judged(history, "heldout")
    exact, _ = _judged(history, "verifier")
    ends = _ends(history, exact)
    if ends and last.get(f"{reward}_gain_low", 0.0) > 0 > last.get(f"{exact}_gain_high", 0.0):
        fall = f"from {ends[0]:.0%} to {ends[1]:.0%}"
        return f"The trained reward rises but the exact verifier falls ({fall}): the reward is being fooled."
    return ""


def _clipping(trained: History, config: TrainConfig) -> str:
    share = _recent(trained, "clip_fraction")
    if share is None:
        return ""
    if share > CLIPPED_SHARE:
        return f"{share:.0%} of ratios are clipped, so most of the signal is cut: lower the learning rate."
    if config.updates_per_epoch > 1 and share < QUIET_CLIP and len(trained) >= MIN_EPOCHS:
        return "Almost no ratio is clipped: the learning rate could be higher."
    return ""


def _noise(trained: History, config: TrainConfig) -> str:
    norm = _recent(trained, "noise_norm")
    if norm is None or norm >= SMALL_NOISE or config.noise_source != "search":
        return ""
    return (
        f"The noises used have {norm:.0%} of a real noise's size: they explore less than random ones "
        '(the result "mean_on_shell" restores it).'
    )


def _variety(trained: History) -> str:
    values = [one["diversity"] for one in trained if "diversity" in one]
    if len(values) < 2 * RECENT:
        return ""
    first, last = sum(values[:RECENT]) / RECENT, sum(values[-RECENT:]) / RECENT
    if first <= 0 or last >= VARIETY_LOST * first:
        return ""
    return f"Pictures of one prompt have become alike (diversity {first:.3f} to {last:.3f}): raise kl_beta or stop."


def _drift(history: History) -> str:
    ends = _ends(history, "kid")
    if ends is None or ends[0] <= 0 or ends[1] < DRIFT_FACTOR * ends[0]:
        return ""
    return f"Pictures move away from true scenes (KID {ends[0]:.4f} to {ends[1]:.4f}): raise kl_beta or stop."


def _cosine(trained: History) -> str:
    cosine = _recent(trained, "grad_cosine_searched")
    if cosine is None or cosine > OPPOSED:
        return ""
    return f"Searched and random members pull in opposite directions (cosine {cosine:.2f} of their gradients)."


def _trend(history: History, config: TrainConfig) -> str:
    """Where the reward of the weights that are kept went; risen or fallen only where the interval says so."""
    key, last = _judged(history, "heldout")
    ends = _ends(history, key)
    if ends is None or history[-1].get("epoch", 0) < MIN_EPOCHS:
        return ""
    weights = "averaged" if key.endswith("_ema") else "trained"
    whose = f"On {judged_on(config).words} the reward of the {weights} weights"
    way = f"from {ends[0]:.3f} to {ends[1]:.3f}"
    gain, low, high = (last.get(f"{key}_gain{end}") for end in ("", "_low", "_high"))
    if gain is None or low is None or high is None:
        return f"{whose} went {way}; nothing is stored that tells whether this is more than chance."
    interval = f"{gain:+.3f}, 95% interval over captions {low:+.3f} to {high:+.3f}"
    if low <= 0 <= high:
        return f"{whose} went {way} ({interval}): {EVEN}."
    return f"{whose} {RISEN if low > 0 else 'has fallen'}, {way} ({interval})."
