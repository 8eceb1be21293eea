"""What the figures of a fine-tune say, in plain words: a pure function of its history."""

from collections.abc import Mapping, Sequence

from core.train_config import TrainConfig

RECENT = 5  # epochs that a sentence looks back on
FLAT_SHARE, CLIPPED_SHARE, QUIET_CLIP = 0.5, 0.5, 0.001
SMALL_NOISE, DRIFT_FACTOR, VARIETY_LOST, RATIO_TOLERANCE = 0.8, 2.0, 0.5, 0.01
MIN_EPOCHS = 10  # before this nothing is said of a trend

History = Sequence[Mapping[str, float]]


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
        _trend(history),
    ]
    return tuple(sentence for sentence in found if sentence)


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


def _hacking(history: History) -> str:
    """The trained reward rises on held-out prompts while the verifier, which is exact, falls."""
    reward, exact = _ends(history, "heldout"), _ends(history, "verifier")
    if reward and exact and reward[1] > reward[0] and exact[1] < exact[0] - 0.02:
        fall = f"from {exact[0]:.0%} to {exact[1]:.0%}"
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
    if cosine is None or cosine >= 0:
        return ""
    return f"Searched and random members pull in opposite directions (cosine {cosine:.2f} of their gradients)."


def _trend(history: History) -> str:
    ends = _ends(history, "heldout")
    if ends is None or history[-1].get("epoch", 0) < MIN_EPOCHS:
        return ""
    way = "risen" if ends[1] > ends[0] else "fallen" if ends[1] < ends[0] else "not moved"
    return f"On prompts that are never trained the reward has {way}, from {ends[0]:.3f} to {ends[1]:.3f}."
