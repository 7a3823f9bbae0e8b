"""Prompt files in the official release's layout, and seeds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from protocol.settings import MAX_SEED

from ..errors import RequestError

LAYOUT = 'It is {"prompts": [...], "negative_prompts": [...], "seeds": [...]}; the last two are optional.'


@dataclass(frozen=True)
class Prompt:
    """Texts and seeds of a generation. `seeds` is empty if the file has none."""

    text: str
    negative: str
    seeds: tuple[int, ...]


def read_prompts(path: str | Path) -> list[Prompt]:
    """The prompts of a JSON file, with their negative prompts and seeds (one or several for each).

    Raises:
        RequestError: the file is missing or has another layout.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise RequestError(f"The prompt file {path} does not exist.", "Check its path.") from None
    except (OSError, ValueError, RecursionError) as error:  # a ValueError is text that is not UTF-8, or not JSON
        raise RequestError(f"{path} is not a JSON file: {error}.", LAYOUT) from None
    if not isinstance(document, dict):
        raise RequestError(f"{path} is not a prompt file: it is no JSON object.", LAYOUT)
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
    prompts = []
    for number, (text, negative, group) in enumerate(zip(texts, negatives, seeds, strict=True)):
        if not isinstance(text, str) or not isinstance(negative, str):
            raise RequestError(f"Prompt {number} in {path}, or its negative prompt, is not a text.", LAYOUT)
        try:
            prompts.append(Prompt(text, negative, checked_seeds(group if isinstance(group, list) else [group])))
        except RequestError as error:
            raise RequestError(f"{path}, prompt {number}: {error.message}", error.hint) from None
    return prompts


def checked_seeds(seeds: list[object]) -> tuple[int, ...]:
    """The seeds. Raises RequestError if one is no seed or is given twice."""
    checked: list[int] = []
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
            raise RequestError(f"The seed {repr(seed)[:40]} is not a whole number from 0 to 2^63 - 1.", "Use another.")
        if seed in checked:
            raise RequestError(f"The seed {seed} is given twice.", "The same seed gives the same video: leave one out.")
        checked.append(seed)
    return tuple(checked)


def _list(path: str | Path, document: dict[str, object], name: str) -> list:
    value = document.get(name, [])
    if not isinstance(value, list):
        raise RequestError(f'In {path}, "{name}" is not a list.', LAYOUT)
    return value
