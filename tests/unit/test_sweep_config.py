"""What a sweep runs, what it refuses, and what its cells come to."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.reuse import usual
from app.sweep_cells import cell_of, cells, measures_of
from app.sweep_config import MAX_RUNS, from_plain, hash_of, read_sweep, read_value, to_plain, value_text
from app.sweep_versus import Side, less
from core import train_config
from core.config import ExploreConfig, config_hash
from core.errors import ConfigError, LabError
from storage.sweeps import Outcome, judged

PROMPTS = ["a photo of a red circle", "a photo of a blue star"]


def body(*axes: tuple[str, list[Any]], **more: Any) -> dict[str, Any]:
    told = [{"setting": setting, "values": values} for setting, values in axes]
    return {"prompts": PROMPTS, "seeds": 2, "axes": told} | more


def tuned(*axes: tuple[str, list[Any]], **more: Any) -> dict[str, Any]:
    told = [{"setting": setting, "values": values} for setting, values in axes]
    return {"of": "train", "seeds": 2, "axes": told} | more


def problems(asked: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        read_sweep(asked)
    return caught.value.problems


def test_runs_are_every_cell_prompt_and_seed_once() -> None:
    config = read_sweep(body(("search.num_candidates", [3, 5]), ("guidance_scale", [1.5, 4.5, 7])))
    runs = config.runs()
    assert len(runs) == config.num_runs == 2 * 3 * 2 * 2
    assert len({run.key for run in runs}) == len(runs)
    first = runs[0]
    assert (first.cell, first.prompt, first.seed) == ((0, 0), 0, 0)
    assert (first.config.prompt, first.config.search.num_candidates, first.config.guidance_scale) == (
        PROMPTS[0],
        3,
        1.5,
    )
    assert {run.cell for run in runs[:6]} == set(config.cells()), "one prompt and seed of all cells first"


def test_a_run_has_the_digest_of_the_same_session_asked_for_elsewhere() -> None:
    config = read_sweep(body(("preset", ["smart-grpo-sde", "best-of-k"]), seeds=[3]))
    alone = [config_hash(usual(preset, PROMPTS[0])) for preset in ("smart-grpo-sde", "best-of-k")]
    runs = [run for run in config.runs() if run.prompt == 0]
    assert [config_hash(ExploreConfig(**(vars(run.config) | {"seed": 0}))) for run in runs] == alone
    changed = read_sweep(body(("search.num_candidates", [5, 7]))).runs()
    assert [run.config.search.preset for run in changed[:2]] == ["smart-grpo", "smart-grpo, changed"]


def test_a_preset_is_set_before_what_is_varied_beside_it() -> None:
    config = read_sweep(body(("search.num_candidates", [7]), ("preset", ["one-shot", "smart-grpo"])))
    found = {run.cell: run.config.search for run in config.runs()}
    assert [found[0, at].num_candidates for at in (0, 1)] == [7, 7]
    assert [found[0, at].num_iterations for at in (0, 1)] == [1, 5]


def test_fine_tunes_are_every_cell_and_seed_once_with_the_digests_of_others() -> None:
    config = read_sweep(tuned(("learning_rate", ["3e-4", "1e-3"]), ("preset", ["flow-grpo", "smart-grpo"])))
    runs = config.runs()
    assert [(run.cell, run.prompt, run.seed) for run in runs[3:5]] == [((1, 1), 0, 0), ((0, 0), 0, 1)]
    assert len({run.key for run in runs}) == len(runs) == config.num_runs == 8
    alone = train_config.from_dict({"preset": "smart-grpo", "learning_rate": 1e-3, "seed": 1, "threads": 1})
    assert train_config.config_hash(replace(runs[-1].config, threads=1)) == train_config.config_hash(alone)
    assert alone.eval_steps == runs[-1].config.eval_steps == 20


def test_what_is_asked_for_holds_over_every_preset() -> None:
    asked = tuned(("preset", ["flow-grpo", "smart-grpo"]), base={"epochs": 7, "search": {"num_candidates": 9}})
    found = read_sweep(asked)
    configs = [run.config for run in found.runs()[:2]]
    assert [(c.epochs, c.search.num_candidates, c.noise_source) for c in configs] == [
        (7, 9, "random"),
        (7, 9, "search"),
    ]
    assert found.base["prompt_set"] == "shapes-train" and "learning_rate" not in found.base
    assert from_plain(json.loads(json.dumps(to_plain(found)))) == found


def test_a_search_preset_is_set_before_what_is_varied_beside_it_in_fine_tunes_too() -> None:
    searched = {"preset": "smart-grpo"}
    config = read_sweep(
        tuned(("search.num_candidates", [4, 7]), ("search.preset", ["one-shot", "smart-grpo"]), base=searched)
    )
    found = [run.config.search for run in config.runs()[:4]]
    assert [(one.preset, one.num_candidates, one.num_iterations) for one in found] == [
        ("one-shot", 4, 1),
        ("smart-grpo", 4, 5),
        ("one-shot", 7, 1),
        ("smart-grpo", 7, 5),
    ]


def test_a_fine_tune_is_found_by_how_it_was_judged_too() -> None:
    keys = [read_sweep(tuned(("ema", ["yes"]), base={"eval_steps": steps})).runs()[0].key for steps in (6, 7)]
    assert len(set(keys)) == 2 and len({key.partition("/")[0] for key in keys}) == 1


def test_a_fine_tune_is_judged_by_its_averaged_weights_where_there_are_such() -> None:
    metrics = {"heldout": 0.1, "heldout_ema": 0.2, "heldout_ema/a": None, "heldout/a": 0.3, "verifier": 0.4, "kid": 9.0}
    assert judged(metrics) == {"heldout": 0.2, "a": 0.3, "verifier": 0.4}


def test_the_gain_of_a_fine_tune_is_over_the_model_as_it_was() -> None:
    config = read_sweep(tuned(("reward", ["shapes-clip", "shapes-verifier"])))
    runs = config.runs()
    by_name = {one.name: one for one in measures_of(config, runs)}
    assert next(iter(by_name)) == "gain:verifier" and "heldout" not in by_name, "sums of different rewards"
    arms = {"base": {"shapes-clip": 0.5}, "result": {"shapes-clip": 0.75}}
    outcome = Outcome("a", "succeeded", None, None, True, arms=arms)
    assert (
        by_name["gain:shapes-clip"].of(runs[0], outcome) == 0.25
        and by_name["gain:verifier"].of(runs[0], outcome) is None
    )


def test_a_varied_reward_is_climbed_and_the_others_are_watched() -> None:
    config = read_sweep(body(("reward", ["shapes-clip", "shapes-verifier"])))
    assert [run.config.rewards for run in config.runs()[:2]] == [
        {"shapes-clip": 1.0, "shapes-verifier": 0.0},
        {"shapes-verifier": 1.0, "shapes-clip": 0.0},
    ]


def test_a_sweep_is_read_back_as_it_was_stored() -> None:
    config = read_sweep(body(("step_kind", ["sde", "cps"]), ("noise_level", ["usual", "0.5"])))
    assert from_plain(to_plain(config)) == config and hash_of(from_plain(to_plain(config))) == hash_of(config)


@pytest.mark.parametrize(
    ("asked", "field", "sentence"),
    [
        (body(), "axes", "expected one or two settings"),
        (body(("prompt", ["a"])), "axis-0", "expected one of preset, reward, model"),
        (body(("num_steps", [])), "axis-0", "expected 1 to 12 values of num_steps"),
        (body(("num_steps", [5, 5])), "axis-0", "expected every value once, got 5 twice"),
        (body(("num_steps", [5]), ("num_steps", [6])), "axis-1", "got num_steps twice"),
        (body(("num_steps", [[5]])), "axis-0", "expected numbers, words, yes or no"),
        (body(("num_steps", [5, 1])), "num_steps", "with num_steps 1: expected a whole number from 2"),
        (body(("preset", ["best"])), "preset", "expected one of smart-grpo"),
        (
            body(("num_steps", list(range(2, 14))), prompts=[str(at) for at in range(40)]),
            "axes",
            f"most {MAX_RUNS} runs",
        ),
        (body(("num_steps", [5]), prompts=[]), "prompts", "expected 1 to 100 prompts, got 0"),
        (body(("num_steps", [5]), prompts=None), "prompts", "a list of prompts, or the name of a set"),
        (body(("num_steps", [5]), prompts=["x", "x"]), "prompts", "every prompt once"),
        (body(("num_steps", [5]), prompts=[7]), "prompts", "expected text, got 7"),
        (body(("num_steps", [5]), seeds=0), "seeds", "expected 1 to 50 seeds"),
        (body(("num_steps", [5]), seeds=[1, 1]), "seeds", "every seed once"),
        (body(("num_steps", [5]), seeds=[-1]), "seeds", "expected a whole number"),
        (body(("num_steps", [5]), base=3), "base", "expected an object"),
        (body(("num_steps", [5]), colour="red"), "colour", "is not a setting of a sweep"),
        (body(("num_steps", [5]), of="measure"), "of", "expected one of session, train"),
        (tuned(("eval_steps", [5])), "axis-0", "expected one of preset, reward, model, learning_rate"),
        (tuned(("ema_decay", [0.9, 2])), "ema_decay", "with ema_decay 2: expected a number from 0"),
        (tuned(("preset", ["flow-grpo", "best"])), "preset", "expected one of flow-grpo"),
        (tuned(("sde_window", [1]), prompts=["x"]), "prompts", "expected them in base"),
        (tuned(("sde_window", [1]), base={"eval_step": 2}), "eval_step", "is not a setting"),
        (tuned(("preset", ["flow-grpo"]), base={"eval_step": 2}), "eval_step", "is not a setting"),
    ],
)
def test_what_cannot_be_swept_is_told_by_field(asked: dict[str, Any], field: str, sentence: str) -> None:
    assert sentence in problems(asked)[field]


def test_values_are_read_as_people_write_them() -> None:
    read = [read_value(text) for text in (" 5", "4.5", "yes", "No", "usual", "sde")]
    assert read == [5, 4.5, True, False, None, "sde"]
    assert [value_text(value) for value in read] == ["5", "4.5", "yes", "no", "usual", "sde"]


def done(run: Any, reward: float, blind: float = 0.25) -> Outcome:
    arms = {"search": {"shapes-clip": reward, "nfe": 20.0}, "no_search": {"shapes-clip": blind}}
    return Outcome(run.key, "succeeded", None, None, True, nfe=40, seconds=2.0, arms=arms)


def test_a_cell_is_the_mean_of_its_runs_with_an_interval_over_prompts() -> None:
    config = read_sweep(body(("search.num_candidates", [3, 5])))
    runs = config.runs()
    known = {run.key: done(run, 0.5 + run.prompt * 0.2 + run.seed * 0.1) for run in runs if run.cell == (0,)}
    gain = next(one for one in measures_of(config, runs) if one.name == "gain:no_search")
    first, second = cells(config, runs, known, gain)
    assert second is None
    assert (
        first["mean"] == pytest.approx(0.4) and first["runs"] == 4 and (first["over"], first["count"]) == ("prompts", 2)
    )
    # Student's t with one degree of freedom: 12.706 times the standard error of .3 and .5, which is .1
    assert first["high"] - first["mean"] == pytest.approx(12.706 * 0.1, rel=1e-3)


def test_one_run_has_no_interval_and_one_prompt_has_one_over_seeds() -> None:
    config = read_sweep(body(("num_steps", [5]), prompts=PROMPTS[:1], seeds=3))
    assert cell_of(config, {(0, 0): 1.0})["low"] is None
    several = cell_of(config, {(0, 0): 1.0, (0, 1): 2.0, (0, 2): 3.0})
    assert several["over"] == "seeds" and several["low"] < 2.0 < several["high"]


def test_a_run_that_has_not_finished_or_lacks_the_reward_counts_for_nothing() -> None:
    config = read_sweep(body(("num_steps", [5]), prompts=PROMPTS[:1], seeds=2))
    first, second = config.runs()
    known = {first.key: done(first, 0.5), second.key: Outcome("b", "failed", "no weights", None, True)}
    by_name = {one.name: one for one in measures_of(config, [first, second])}
    assert cells(config, [first, second], known, by_name["reward"])[0]["runs"] == 1
    assert cells(config, [first, second], known, by_name["shapes-verifier"]) == [None]
    assert cells(config, [first, second], known, by_name["nfe"])[0]["mean"] == 40


def test_sums_of_different_rewards_are_not_offered() -> None:
    config = read_sweep(body(("reward", ["shapes-clip", "shapes-verifier"])))
    names = [one.name for one in measures_of(config, config.runs())]
    assert "reward" not in names and names[0] == "shapes-clip:no_search"


def test_what_stands_in_the_base_where_a_setting_is_varied_does_not_matter() -> None:
    alone = {"search": {"elite_fraction": 0.1}}  # keeps nobody of five
    config = read_sweep(body(("search.num_candidates", [10, 20]), base=alone))
    assert [run.config.search.num_elites for run in config.runs()[:2]] == [1, 2]


def beside(num_iterations: int, rewards: dict[tuple[str, int], float], **more: Any) -> Side:
    """A sweep with what its runs came to, the same in every cell but for .1 more in the second."""
    asked = body(("search.num_candidates", [3, 5]), base={"search": {"num_iterations": num_iterations}}, **more)
    config = read_sweep(asked)
    runs = config.runs()
    told = [(run, rewards.get((config.prompts[run.prompt], run.seed))) for run in runs]
    return Side(config, runs, {run.key: done(run, value + run.cell[0] / 10) for run, value in told if value})


def test_two_sweeps_are_paired_by_prompt_and_seed() -> None:
    prompts = [f"a photo of {number} stars" for number in range(6)]
    mine = {(prompt, seed): 0.5 + at / 10 for at, prompt in enumerate(prompts) for seed in (0, 1)}
    one = beside(2, mine, prompts=prompts, seeds=[0, 1])
    theirs = {key: value - 0.25 - (key[1] - 0.5) * 0.1 for key, value in mine.items()}
    other = beside(3, theirs, prompts=prompts[::-1], seeds=[1, 0, 7])
    found = less(one, other)
    gain = next(one for one in found["measures"] if one["name"] == "reward")
    assert [cell["mean"] for cell in gain["cells"]] == pytest.approx([0.25, 0.25])
    assert all((cell["over"], cell["count"], cell["runs"]) == ("prompts", 6, 12) for cell in gain["cells"])
    assert gain["values"][0] == pytest.approx(0.2) and gain["signed"] and gain["paired"]
    of_other = {outcome.record_id for outcome in other.known.values()}
    assert len(set(found["records"])) == 24 and set(found["records"]) <= of_other
    back = next(each for each in less(other, one)["measures"] if each["name"] == "reward")
    assert back["cells"][0]["mean"] == pytest.approx(-0.25) and back["values"].count(None) == 12


def test_few_pairs_have_no_interval_and_none_no_number() -> None:
    few, none = {(PROMPTS[0], 0): 0.5}, {(PROMPTS[1], 0): 0.5}
    one, other = beside(2, few), beside(3, few)
    first = less(one, other)["measures"][0]
    assert first["cells"][0] == {"mean": 0.0, "low": None, "high": None, "count": 1, "over": "seeds", "runs": 1}
    assert less(one, beside(3, none))["measures"][0]["cells"] == [None, None]


def test_sweeps_with_other_cells_are_not_subtracted() -> None:
    one, config = beside(2, {}), read_sweep(body(("search.num_candidates", [3, 6])))
    with pytest.raises(LabError, match="the same values of the same settings"):
        less(one, Side(config, config.runs(), {}))
