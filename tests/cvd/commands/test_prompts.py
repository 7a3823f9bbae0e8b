import json
from pathlib import Path

import pytest

from cvd.commands.prompts import Prompt, read_prompts
from cvd.errors import RequestError


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
        ("", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("\ufeff{", "not a JSON file"),
        ([], "no JSON object"),
        (3, "no JSON object"),
        ({}, "holds no prompts"),
        ({"prompts": "a lake"}, '"prompts" is not a list'),
        ({"prompts": ["a lake"], "negative_prompts": "blur"}, '"negative_prompts" is not a list'),
        ({"prompts": ["a lake"], "negative_prompts": [None]}, "Prompt 0 in .* is not a text"),
        ({"prompts": ["a", "b"], "seeds": [1]}, "2 prompts, 2 negative prompts and 1 seeds"),
        ({"prompts": [3]}, "not a text"),
        ({"prompts": ["a", "b"], "seeds": [1, -1]}, "prompt 1: The seed -1 is not a whole number"),
        ({"prompts": ["a"], "seeds": ["\n"]}, r"The seed '\\n' is not a whole number"),
        ({"prompts": ["a"], "seeds": [True]}, "not a whole number"),
        ({"prompts": ["a"], "seeds": [1.5]}, "not a whole number"),
        ({"prompts": ["a"], "seeds": [2**63]}, "not a whole number"),
        ({"prompts": ["a"], "seeds": [[1, [2]]]}, "not a whole number"),
        ({"prompts": ["a"], "seeds": [[4, 4]]}, "4 is given twice"),
    ],
)
def test_malformed(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_prompts(write(tmp_path / "prompts.json", document))


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"prompts": ["a lake"]}).encode())
    assert read_prompts(tmp_path / "a.json") == [Prompt("a lake", "", ())]


def test_folders_and_binary_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(bytes(range(256)))
    for path in (tmp_path, tmp_path / "a.json"):
        with pytest.raises(RequestError, match="not a JSON file"):
            read_prompts(path)
    with pytest.raises(RequestError, match="does not exist"):
        read_prompts(tmp_path / "none.json")
