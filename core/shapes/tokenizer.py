"""The byte-pair tokenizer of the embedded world's text encoders: CLIP's own class, merges learned from the captions."""

import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from core.shapes.scenes import sample_pairs

MAX_LENGTH = 20  # the longest caption has 13 tokens with its two marks
START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(seed: int = 0, num_captions: int = 20_000) -> CLIPTokenizer:
    """Learn merges from captions; every byte stays a token of its own, so that no text becomes an unknown token."""
    captions = sorted({caption.text() for caption, _ in sample_pairs(seed, num_captions)})
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    learner.train_from_iterator(captions, trainers.BpeTrainer(vocab_size=2_000, end_of_word_suffix="</w>"))
    merges = [tuple(pair) for pair in _merges_of(learner)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, *(f"{ch}</w>" for ch in alphabet), *("".join(pair) for pair in merges), START, END]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_LENGTH)


def _merges_of(tokenizer: Tokenizer) -> list[list[str]]:
    return json.loads(tokenizer.to_str())["model"]["merges"]
