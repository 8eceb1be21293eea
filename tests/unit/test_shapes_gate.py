"""The comparison of gated with ungated searches: same cost, paired, and its table."""

from core.plan import search_nfe
from core.schedule import in_window, shifted
from core.shapes.gate import PRESETS_COMPARED, as_markdown, compared, summarise


def test_every_search_has_the_same_start_reward_and_at_most_the_usual_cost() -> None:
    found = compared("a photo of a star", 3, (0.46, 0.71))
    assert set(found) == {"smart-grpo", "smart-grpo, gated", "smart-grpo-sde", "smart-grpo-sde, gated"}
    assert {(config.seed, config.prompt) for config in found.values()} == {(3, "a photo of a star")}
    assert all(in_window(shifted(10), found[name].window_min, found[name].window_max)[0] for name in PRESETS_COMPARED)
    costs = {name: search_nfe(config, shifted(10), 2) for name, config in found.items()}
    assert costs["smart-grpo-sde, gated"] <= costs["smart-grpo-sde"] == costs["smart-grpo"]


def test_gains_are_paired_by_prompt_and_seed() -> None:
    rows = []
    for prompt, level in (("a", 0.1), ("b", 0.7), ("c", 0.4)):
        for seed in (0, 1):
            start = level + 0.1 * seed
            gains = {"no_search": 0.0, "smart-grpo": 0.0, "smart-grpo, gated": 0.05}
            gains |= {"smart-grpo-sde": 0.1, "smart-grpo-sde, gated": 0.2}
            for arm, gain in gains.items():
                value = {"shapes-clip": start + gain, "partial": start, "strict": 1.0, "nfe": 220}
                rows.append({"arm": arm, "prompt": prompt, "seed": seed, **value})
    table = {(row["search"], row["against"]): row for row in summarise(rows)}
    assert table["smart-grpo-sde, gated", "smart-grpo-sde"]["shapes-clip"] == [0.1, 0.1, 0.1]
    assert table["smart-grpo, gated", "no_search"]["shapes-clip"] == [0.05, 0.05, 0.05]
    assert table["smart-grpo", "no_search"]["partial"] == [0.0, 0.0, 0.0]
    lines = as_markdown(list(table.values())).splitlines()
    assert len(lines) == 2 + 6
    assert len({line.count("|") for line in lines}) == 1
