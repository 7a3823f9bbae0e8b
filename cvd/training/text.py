"""The starter model's tokenizer, in which each word of the captions is one token, and its small CLIP text encoder."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

# Captions have at most 30 words; start and end are 2 more tokens. Cross-attention over tokens is most of the work of a
# small U-Net, so there is no more padding than necessary.
MAX_TOKENS = 32
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"


def build_tokenizer(words: Iterable[str], max_tokens: int = MAX_TOKENS) -> CLIPTokenizer:
    """A CLIPTokenizer in which every given word is one token. Other text becomes shorter pieces and bytes."""
    merges = learn_merges(words)
    alphabet = list(bytes_to_unicode().values())
    pieces = alphabet + [letter + WORD_END for letter in alphabet] + ["".join(merge) for merge in merges]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys([*pieces, START, END]))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_tokens)


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, the most frequent pair first, until every word is a single piece."""
    splits = [(*word[:-1], word[-1] + WORD_END) for word in words]
    merges = []
    while pairs := Counter(pair for split in splits for pair in pairwise(split)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        splits = [_merge(split, best) for split in splits]
    return merges


def _merge(split: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for piece in split:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def build_text_encoder(tokenizer: CLIPTokenizer, width: int = 128, layers: int = 2) -> CLIPTextModel:
    """An untrained CLIP text encoder that fits the tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
