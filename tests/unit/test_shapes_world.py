"""The drawn world: captions, held-out combinations, and the verifier against ground truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from core.shapes.clip import sample_siblings, swap
from core.shapes.scenes import (
    BACKGROUNDS,
    COLORS,
    RELATIONS,
    SHAPES,
    TASKS,
    Caption,
    Phrase,
    Scene,
    Shape,
    draw,
    evaluation_captions,
    is_held_out,
    parse_caption,
    sample_caption,
    sample_pairs,
    sample_scene,
)
from core.shapes.verifier import caption_holds, find_shapes, relation_score, verify

PAIRS = sample_pairs(101, 400)
IMAGES = [draw(scene) for _, scene in PAIRS]


def test_same_seed_draws_the_same_world() -> None:
    assert sample_pairs(5, 20) == sample_pairs(5, 20)
    assert sample_pairs(5, 20) != sample_pairs(6, 20)


def test_pictures_are_64_pixels_antialiased() -> None:
    image = draw(Scene((Shape("circle", "red", 0.5, 0.5, 0.3),), BACKGROUNDS[0]))
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 4  # more than two colours: soft edges


def test_captions_are_true_of_their_scenes_and_read_back() -> None:
    for caption, scene in PAIRS:
        assert caption_holds(caption, scene)
        assert parse_caption(caption.text()) == caption
    assert {caption.task for caption, _ in PAIRS} == set(TASKS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cup of coffee",
        "a photo of",
        "a photo of a pink circle",
        "a photo of nine stars",
        "a photo of two circle x",
    ],
)
def test_other_sentences_are_no_captions(text: str) -> None:
    assert parse_caption(text) is None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_parsed_or_refused(text: str) -> None:
    parse_caption(text)


def test_a_tenth_of_the_combinations_is_held_out_of_training() -> None:
    phrases = [Phrase(shape, color) for shape in SHAPES for color in COLORS]
    combinations = [(a, r, b) for a in phrases for b in phrases if a != b for r in (*RELATIONS, None)]
    share = np.mean([is_held_out(*combination) for combination in combinations])
    assert 0.07 < share < 0.13
    for caption, _ in sample_pairs(9, 5_000):
        if len(caption.phrases) == 2 and all(phrase.color for phrase in caption.phrases):
            assert not is_held_out(caption.phrases[0], caption.relation, caption.phrases[1])
    for pair in sample_siblings(np.random.default_rng(0), 1_000):
        for caption in pair:
            if len(caption.phrases) == 2 and all(phrase.color for phrase in caption.phrases):
                assert not is_held_out(caption.phrases[0], caption.relation, caption.phrases[1])


def test_both_wordings_of_an_arrangement_are_held_out_together() -> None:
    a, b = Phrase("circle", "red"), Phrase("star", "blue")
    for relation, opposite in (("left of", "right of"), ("above", "below")):
        assert is_held_out(a, relation, b) == is_held_out(b, opposite, a)
    assert is_held_out(a, None, b) == is_held_out(b, None, a)


def test_evaluation_names_held_out_combinations_in_equal_shares() -> None:
    captions = evaluation_captions(600)
    assert {task: sum(c.task == task for c in captions) for task in TASKS} == dict.fromkeys(TASKS, 100)
    for caption in captions:
        if caption.task in ("position", "color_attribution"):
            assert is_held_out(caption.phrases[0], caption.relation, caption.phrases[1])


def test_verifier_accepts_drawn_scenes() -> None:
    verdicts = [verify(image, caption) for image, (caption, _) in zip(IMAGES, PAIRS, strict=True)]
    assert np.mean([strict for strict, _ in verdicts]) >= 0.97
    assert np.mean([partial for _, partial in verdicts]) >= 0.9


def test_verifier_finds_what_was_drawn_where_it_was_drawn() -> None:
    scene = Scene((Shape("circle", "red", 0.3, 0.3, 0.2), Shape("star", "blue", 0.7, 0.7, 0.2)), BACKGROUNDS[1])
    found = {item.shape: item for item in find_shapes(draw(scene))}
    assert found["circle"].color == "red" and found["star"].color == "blue"
    assert (found["circle"].x, found["circle"].y) == pytest.approx((0.3, 0.3), abs=0.02)


def test_verifier_refuses_wrong_captions() -> None:
    rng = np.random.default_rng(3)
    near_misses = [
        (image, wrong)
        for image, (caption, scene) in zip(IMAGES, PAIRS, strict=True)
        if not caption_holds(wrong := swap(rng, caption), scene)
    ]
    others = [
        (image, caption)
        for image, (_, scene), (caption, _) in zip(IMAGES, PAIRS, PAIRS[1:] + PAIRS[:1], strict=True)
        if not caption_holds(caption, scene)
    ]
    assert len(near_misses) > 300 and len(others) > 300
    for cases in (near_misses, others):
        assert np.mean([verify(image, caption)[0] for image, caption in cases]) <= 0.01


def test_noise_and_blank_pictures_get_no_credit() -> None:
    rng = np.random.default_rng(0)
    for blur in (0, 1, 2, 4):
        noise = [gaussian_filter(rng.normal(size=(64, 64, 3)), (blur, blur, 0)) for _ in range(40)]
        images = [np.clip(127 + 60 * n / n.std(), 0, 255).astype(np.uint8) for n in noise]
        scores = [verify(image, caption)[1] for image, (caption, _) in zip(images, PAIRS, strict=False)]
        assert np.mean(scores) <= 0.1, blur
    for level in (0, 128, 255):
        blank = np.full((64, 64, 3), level, np.uint8)
        assert all(verify(blank, caption) == (False, 0.0) for caption, _ in PAIRS)


def test_an_extra_or_a_missing_object_is_not_strict_and_costs() -> None:
    two = Caption("counting", (Phrase("circle", "red", 2),))
    circles = tuple(Shape("circle", "red", x, y, 0.15) for x, y in ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)))
    scores = [verify(draw(Scene(circles[:n], BACKGROUNDS[0])), two) for n in (1, 2, 3)]
    assert [strict for strict, _ in scores] == [False, True, False]
    assert scores[1][1] > max(scores[0][1], scores[2][1])


def test_partial_credit_grows_as_a_colour_comes_right() -> None:
    caption = Caption("colors", (Phrase("square", "red"),))
    square = draw(Scene((Shape("square", "red", 0.5, 0.5, 0.25),), BACKGROUNDS[0])).astype(float)
    green = draw(Scene((Shape("square", "green", 0.5, 0.5, 0.25),), BACKGROUNDS[0])).astype(float)
    scores = [verify((share * square + (1 - share) * green).astype(np.uint8), caption)[1] for share in (0, 0.5, 1)]
    assert scores[0] < scores[1] < scores[2]


@settings(max_examples=60, deadline=None)
@given(*[st.floats(0, 1) for _ in range(4)])
def test_relations_exclude_their_opposites(x1: float, y1: float, x2: float, y2: float) -> None:
    for relation, opposite in (("left of", "right of"), ("above", "below")):
        one, other = relation_score(relation, (x1, y1), (x2, y2)), relation_score(opposite, (x1, y1), (x2, y2))
        assert 0 <= one <= 1 and min(one, other) < 0.5


def test_scenes_keep_their_shapes_apart_and_inside() -> None:
    rng = np.random.default_rng(1)
    for task in TASKS:
        for _ in range(20):
            scene = sample_scene(rng, sample_caption(rng, task))
            for item in scene.objects:
                assert item.radius < min(item.x, item.y, 1 - item.x, 1 - item.y)
