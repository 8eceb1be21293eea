"""Charts of a fine-tune: pure functions to Plotly figures, made as the plain JSON that they are.

They stand over epochs, or over what was spent until then. Points carry `customdata` [epoch]. Held-out figures are there
for the epochs that were judged; gaps between them are bridged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.figure_style import DARK, LIGHT, Theme, layout, line
from app.judged import judged_of
from app.sentences import short
from core.errors import LabError
from core.rewards.registry import REWARDS
from core.train_config import TrainConfig, to_dict

Figure = dict[str, Any]
Epochs = Sequence[Mapping[str, Any]]
AXES = {"epoch": "Epoch", "nfe": "Velocity evaluations", "total_seconds": "Seconds of training"}
COLOURS = ("search", "ode", "random_elites", "best_of_sde", "no_search", "best_of_seed")
FEW_EPOCHS = 5  # an axis of epochs is at least as long
FLAT = 0.01  # values that differ by less of their size are drawn as a flat line
# Phases as they are stacked, with their words.
PHASES = {
    "rollout": "Drawing",
    "search": "Searching",
    "reward": "Scoring",
    "update": "Learning",
    "evaluate": "Judging",
    "sample": "Sample sheets",
    "watch": "Watched search",
    "other": "Rest",
}


def figures(
    config: TrainConfig, epochs: Epochs, started: Mapping[str, Any], *, x: str = "epoch", dark: bool = False
) -> dict[str, Figure]:
    """All charts by name, without those that have nothing to show. Raises LabError for an axis that is none."""
    if x not in AXES:
        raise LabError(f"x: expected one of {', '.join(AXES)}, got {x[:40]!r}")
    theme = DARK if dark else LIGHT
    drawn, told = _Drawn(epochs, x, theme), judged_of(to_dict(config), started).words
    sigmas = started.get("sigmas") or []
    made = {
        "reward": drawn.reward(config),
        "heldout": drawn.heldout(told),
        "verifier": drawn.verifier(told),
        "rewards": drawn.each_reward(config, told),
        "kl": drawn.lines("KL: how far the model has moved", "KL", _KL, told="kl_ref"),
        "clip": drawn.by_step("clip_fraction", "Share of clipped ratios by timestep", sigmas),
        "ratio": drawn.by_step("ratio_mean", "Mean ratio by timestep", sigmas),
        "spread": drawn.lines("What groups have to tell apart", "Std within a prompt", _SPREAD),
        "equal": drawn.lines("Groups with nothing to learn from", "Share", _EQUAL),
        "diversity": drawn.lines("Diversity within a prompt", "Mean distance", _DIVERSITY),
        "drift": drawn.lines("Distance from drawn scenes", "KID", _DRIFT),
        "gradient": drawn.lines("The optimiser's steps", "Gradient norm", _GRADIENT),
        "noise": drawn.lines("Size of the noises used: 1 is a real noise", "||m|| / √d", _NOISE),
        "cosine": drawn.lines("Searched and unsearched pictures' agreement", "Cosine", _COSINE),
        "seconds": drawn.seconds(),
        "memory": drawn.lines("Peak memory", "MB", _MEMORY),
    }
    return {name: figure for name, figure in made.items() if figure["data"]}


_KL = {"approx_kl": "From the policy that drew the pictures", "kl_ref": "From the model at the start"}
_SPREAD = {
    "group_std": "All members",
    "group_std_searched": "Searched members",
    "group_std_unsearched": "Unsearched members",
}
_EQUAL = {"zero_std_share": "Equal rewards", "unscored_share": "Pictures without a reward"}
_DIVERSITY = {"diversity": "Diversity"}
_DRIFT = {"kid": "Trained weights", "kid_ema": "Averaged weights"}
_GRADIENT = {"grad_norm": "Gradient norm"}
_NOISE = {"noise_norm": "Mean"}
_COSINE = {"grad_cosine_searched": "Cosine of their gradients"}
_MEMORY = {"peak_memory_mb": "Peak memory"}


class _Drawn:
    """The charts of one run over one axis."""

    def __init__(self, epochs: Epochs, x: str, theme: Theme):
        self.epochs, self.x, self.theme = epochs, x, theme

    def reward(self, config: TrainConfig) -> Figure:
        """The trained sum of the drawn pictures: its mean, one standard deviation on either side, and its ends."""
        rows = self._with("reward_mean")
        title = self._title("Training reward", "reward_mean", rows)
        whole = [(row, row["metrics"]["reward_min"], row["metrics"]["reward_max"]) for row in self._with("reward_min")]
        bands = self._band(whole) + self._band([(row, *_around(row["metrics"])) for row in rows])
        data = [*bands, self._line(rows, "reward_mean", "Mean of the drawn pictures", self.theme.accent)]
        note = "Band: one standard deviation of the pictures; paler, the lowest to the highest."
        return self._figure(data if rows else [], title, "Reward", note=note)

    def heldout(self, judged: str) -> Figure:
        """The trained sum on the prompts that it is judged by, without noise: trained and averaged weights."""
        named = {"heldout": "Trained weights", "heldout_ema": "Averaged weights"}
        return self.lines(f"Reward on {judged}", "Reward", named, told="heldout_ema")

    def verifier(self, judged: str) -> Figure:
        """How many pictures of those prompts are exactly right."""
        named = {"verifier": "Trained weights", "verifier_ema": "Averaged weights"}
        return self.lines(f"Exactly right on {judged}", "Share", named, told="verifier_ema")

    def each_reward(self, config: TrainConfig, judged: str) -> Figure:
        """Every reward on its own, the watched ones dashed, and the exact verifier, which cannot be fooled as they can.

        A reward that is not judged held-out is told of the drawn pictures.
        """
        data = []
        for index, (name, weight) in enumerate(config.rewards.items()):
            key = next((k for k in (f"heldout/{name}", f"reward/{name}") if self._with(k)), None)
            if key is None:
                continue
            spec, color = REWARDS.get(name), self.theme.arms[COLOURS[index % len(COLOURS)]]
            words = f"{spec.title if spec else name}{'' if weight else ' (watched)'}"
            data.append(self._line(self._with(key), key, words, color, dash="solid" if weight else "dash"))
        if data and (rows := self._with("verifier")):
            data.append(self._line(rows, "verifier", "Exactly right", self.theme.ink, dash="dot"))
        return self._figure(data, f"Every reward on {judged}", "Reward")

    def lines(self, title: str, y: str, named: Mapping[str, str], told: str | None = None) -> Figure:
        """A line a metric; the title tells where `told`, or else the first of them, came from and went."""
        rows = {key: self._with(key) for key in named}
        data = [
            self._line(rows[key], key, words, self.theme.arms[COLOURS[index]], dash="solid" if index == 0 else "dash")
            for index, (key, words) in enumerate(named.items())
            if rows[key]
        ]
        key = next((one for one in (told, *named) if one and rows.get(one)), None)
        return self._figure(data, self._title(title, key, rows[key]) if key else title, y)

    def by_step(self, key: str, title: str, sigmas: Sequence[float]) -> Figure:
        """A map of epochs by timesteps; where a timestep was not trained it is empty."""
        rows = [row for row in self.epochs if any(v is not None for v in row["per_step"].get(key) or [])]
        if not rows:
            return {"data": [], "layout": {}}
        count = max(len(row["per_step"][key]) for row in rows)
        values = [[_at(row["per_step"][key], step) for row in rows] for step in range(count)]
        steps = [f"{s + 1} (σ {short(sigmas[s])})" if s < len(sigmas) else str(s + 1) for s in range(count)]
        drawn = {
            "type": "heatmap",
            "x": [self._place(row) for row in rows],
            "y": list(range(1, count + 1)),
            "z": values,
            "text": [[name] * len(rows) for name in steps],
            "hovertemplate": f"step %{{text}}, {AXES[self.x].lower()} %{{x}}: %{{z:.4g}}<extra></extra>",
            "colorscale": [[0, self.theme.accent_soft], [1, self.theme.accent]],
            "colorbar": {"thickness": 10, "outlinewidth": 0},
            "hoverongaps": False,
        }
        figure = self._figure([drawn], title, "Step")
        figure["layout"]["yaxis"] |= {"autorange": "reversed", "dtick": 1, "showgrid": False}
        return figure

    def seconds(self) -> Figure:
        """What an epoch's time went into, stacked."""
        rows = [row for row in self.epochs if row["epoch"] > 0]
        data = []
        for index, (phase, words) in enumerate(PHASES.items()):
            if any(row["seconds"].get(phase) for row in rows):
                color = self.theme.arms[COLOURS[index % len(COLOURS)]]
                values = [row["seconds"].get(phase) or 0.0 for row in rows]
                place = {"x": [self._place(row) for row in rows], "y": values, "customdata": _customdata(rows)}
                marker = {"color": color, "opacity": 1.0 if index < len(COLOURS) else 0.5}
                data.append({"type": "bar", "name": words, "marker": marker, **place})
        figure = self._figure(data, "Where the time goes", "Seconds an epoch")
        return figure | {"layout": figure["layout"] | {"barmode": "stack", "bargap": 0.1}}

    def _figure(self, data: list[dict[str, Any]], title: str, y: str, note: str | None = None) -> Figure:
        drawn = layout(self.theme, title, AXES[self.x], y, axis=self.x, note=note)
        if along := across([x for one in data for x in one["x"]], self.x):
            drawn["xaxis"]["range"] = along
        lines = [value for one in data if one["type"] == "scatter" for value in one["y"]]
        if around := upright(lines, share=y == "Share"):
            drawn["yaxis"]["range"] = around
        return {"data": data, "layout": drawn}

    def _with(self, key: str) -> list[Mapping[str, Any]]:
        return [row for row in self.epochs if row["metrics"].get(key) is not None]

    def _place(self, row: Mapping[str, Any]) -> float:
        return float(row[self.x])

    def _line(self, rows: Epochs, key: str, name: str, color: str, **more: Any) -> dict[str, Any]:
        values = [row["metrics"][key] for row in rows]
        few = {"mode": "lines+markers", "marker": {"size": 6, "color": color}} if len(rows) < 30 else {}
        drawn = line(name, [self._place(row) for row in rows], values, color, customdata=_customdata(rows), **more)
        return drawn | few

    def _band(self, rows: Sequence[tuple[Mapping[str, Any], float, float]]) -> list[dict[str, Any]]:
        if not rows:
            return []
        places, clear = [self._place(row) for row, _, _ in rows], "rgba(0,0,0,0)"
        hidden = {"hoverinfo": "skip", "showlegend": False}
        low = line("", places, [low for _, low, _ in rows], clear, **hidden)
        filled = {"fill": "tonexty", "fillcolor": self.theme.accent_soft, **hidden}
        return [low, line("", places, [high for _, _, high in rows], clear, **filled)]

    def _title(self, words: str, key: str, rows: Epochs) -> str:
        if len(rows) < 2:
            return words
        first, last = rows[0]["metrics"][key], rows[-1]["metrics"][key]
        return f"{words}: {short(first)} → {short(last)}"


def across(places: Sequence[float], axis: str) -> list[float] | None:
    """The range of an axis over which little has been done yet, so that a point or two do not fill it; else None."""
    last = max(places, default=0.0)
    room = FEW_EPOCHS if axis == "epoch" else 0.0 if len(set(places)) > 1 else 2 * last or 1.0
    return [-0.05 * room, 1.05 * room] if places and last < room else None


def upright(values: Sequence[float], *, share: bool) -> list[float] | None:
    """The range of an axis whose values are (nearly) one, so that it does not blow up what is nothing; else None."""
    if not values:
        return None
    low, high = min(values), max(values)
    middle, most = (low + high) / 2, max(abs(low), abs(high))
    if high - low >= FLAT * most > 0:
        return None
    if share:
        return [-0.03, 1.03]
    return [middle - 0.1 * most, middle + 0.1 * most] if most else [-0.1, 1.0]


def _around(metrics: Mapping[str, Any]) -> tuple[float, float]:
    mean, spread = metrics["reward_mean"], metrics.get("reward_std") or 0.0
    return mean - spread, mean + spread


def _at(values: Sequence[float | None], step: int) -> float | None:
    return values[step] if step < len(values) else None


def _customdata(rows: Epochs) -> list[list[int]]:
    return [[row["epoch"]] for row in rows]
