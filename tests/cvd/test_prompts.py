import json
from pathlib import Path

import pytest

from cvd.errors import RequestError
from cvd.prompts import Prompt, read_prompts


def write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_official_layout(tmp_path: Path) -> None:
    document = {"prompts": ["a lake", "a horse"], "negative_prompts": ["blur", ""], "seeds": [1, [2, 3]]}
    prompts = read_prompts(write(tmp_path / "prompts.json", document))
    assert prompts == [Prompt("a lake", "blur", (1,)), Prompt("a horse", "", (2, 3))]


def test_negative_prompts_and_seeds_may_be_missing(tmp_path: Path) -> None:
    assert read_prompts(write(tmp_path / "prompts.json", {"prompts": ["a lake"]})) == [Prompt("a lake", "", ())]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not a JSON file"),
        ([], 'no list "prompts"'),
        ({}, "holds no prompts"),
        ({"prompts": "a lake"}, 'no list "prompts"'),
        ({"prompts": ["a", "b"], "seeds": [1]}, "2 prompts, 2 negative prompts and 1 seeds"),
        ({"prompts": [3]}, "not a text"),
        ({"prompts": ["a"], "seeds": [-1]}, "not a whole number"),
    ],
)
def test_malformed(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_prompts(write(tmp_path / "prompts.json", document))
