"""The starter tokenizer: each word of the captions is one token, and other text can be encoded."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from cvd.starter.captions import VOCABULARY, caption, words
from cvd.starter.sampling import sample_scene
from cvd.training.model import save_tokenizer
from cvd.training.text import build_tokenizer

TOKENIZER = build_tokenizer(VOCABULARY)


def test_every_caption_word_is_one_token_and_captions_round_trip():
    rng = np.random.default_rng(0)
    for _ in range(200):
        text = caption(sample_scene(rng), rng)
        ids = TOKENIZER(text).input_ids
        assert len(ids) == len(words(text)) + 2 <= TOKENIZER.model_max_length
        assert words(TOKENIZER.decode(ids, skip_special_tokens=True)) == words(text)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_any_text_encodes_to_a_full_row_of_known_tokens(text: str):
    length = TOKENIZER.model_max_length
    ids = TOKENIZER(text, padding="max_length", truncation=True, max_length=length).input_ids
    assert len(ids) == length
    assert max(ids) < len(TOKENIZER)


def test_unknown_words_are_kept_apart():
    assert TOKENIZER("a mauve dodecahedron").input_ids != TOKENIZER("a beige dodecahedron").input_ids


def test_the_saved_tokenizer_is_the_same(tmp_path: Path):
    save_tokenizer(TOKENIZER, tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    assert (tmp_path / "vocab.json").exists()
    assert (tmp_path / "merges.txt").exists()
    for text in ("a red cube on a green floor", "Zwölf Boxkämpfer, 42!"):
        assert loaded(text).input_ids == TOKENIZER(text).input_ids
    assert loaded.model_max_length == TOKENIZER.model_max_length
