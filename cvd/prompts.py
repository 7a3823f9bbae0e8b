"""Prompt files in the official release's layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import RequestError

LAYOUT = 'It is {"prompts": [...], "negative_prompts": [...], "seeds": [...]}; the last two are optional.'


@dataclass(frozen=True)
class Prompt:
    """What to generate; `seeds` is empty where the file leaves them open."""

    text: str
    negative: str
    seeds: tuple[int, ...]


def read_prompts(path: str | Path) -> list[Prompt]:
    """The prompts of a JSON file, with their negative prompts and seeds (one or several for each).

    Raises:
        RequestError: missing, or of another layout.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"The prompt file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RequestError(f"{path} is not a JSON file: {error}.", LAYOUT) from error
    texts = _list(path, document, "prompts")
    if not texts:
        raise RequestError(f"{path} holds no prompts.", LAYOUT)
    negatives = _list(path, document, "negative_prompts") or [""] * len(texts)
    seeds = _list(path, document, "seeds") or [[]] * len(texts)
    if not len(texts) == len(negatives) == len(seeds):
        raise RequestError(
            f"{path} has {len(texts)} prompts, {len(negatives)} negative prompts and {len(seeds)} seeds.",
            "There must be as many of each.",
        )
    per_prompt = [tuple(seed) if isinstance(seed, list) else (seed,) for seed in seeds]
    if not all(isinstance(text, str) for text in [*texts, *negatives]):
        raise RequestError(f"A prompt in {path} is not a text.", LAYOUT)
    if not all(isinstance(seed, int) and seed >= 0 for group in per_prompt for seed in group):
        raise RequestError(f"A seed in {path} is not a whole number from 0.", LAYOUT)
    return [Prompt(*each) for each in zip(texts, negatives, per_prompt, strict=True)]


def _list(path: str | Path, document: object, name: str) -> list:
    value = document.get(name, []) if isinstance(document, dict) else None
    if not isinstance(value, list):
        raise RequestError(f'{path} has no list "{name}".', LAYOUT)
    return value
