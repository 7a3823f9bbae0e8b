"""docs/protocol.md says what the code does."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from protocol import wire
from protocol.connection import Connection, Installation
from protocol.errors import ProtocolError
from protocol.messages import (
    MAX_FRAMES,
    MAX_VIEWS,
    PROTOCOL_VERSION,
    ClientMessage,
    GenerateRequest,
    MadeWith,
    ServiceMessage,
    Stage,
)
from protocol.models import LearnedMotion, ModelInfo
from protocol.settings import SETTINGS

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "protocol.md").read_text(encoding="utf-8")
CLASSES = {cls.__struct_config__.tag: cls for cls in (*get_args(ClientMessage), *get_args(ServiceMessage))}


def section(title: str, level: str = "##") -> str:
    return re.search(rf"^{level} {re.escape(title)}$(.*?)(?=^{level[:2]} |^{level} |\Z)", PAGE, re.M | re.S)[1]


def examples(text: str) -> list[dict]:
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)]


def table(text: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("title", "union"), [("Messages of the client", ClientMessage), ("Messages of the service", ServiceMessage)]
)
def test_every_message_is_described_and_no_other(title: str, union: object) -> None:
    described = re.findall(r"^### `(\w+)`$", section(title), re.M)
    assert described == [cls.__struct_config__.tag for cls in get_args(union)]


@pytest.mark.parametrize("tag", CLASSES)
def test_the_example_of_every_message_is_valid_and_complete(tag: str) -> None:
    (example,) = examples(section(f"`{tag}`", level="###"))
    message = msgspec.json.decode(json.dumps(example), type=CLASSES[tag])
    assert json.loads(msgspec.json.encode(message)) == example
    assert set(example) == {"type", *message.__struct_fields__}


def names(rows: list[list[str]]) -> list[str]:
    """What the first column of a table names, without its head."""
    return [name.strip(" `") for row in rows[2:] for name in row[0].split(",")]


def test_the_fields_of_a_request_have_the_defaults_that_the_table_says() -> None:
    rows = table(section("`submit`", level="###"))
    said = {name.strip(" `"): row[1] for row in rows[2:] for name in row[0].split(",")}
    assert set(said) == set(GenerateRequest.__struct_fields__)
    assert said.pop("settings") == "all defaults"
    for field in msgspec.structs.fields(GenerateRequest):
        if field.name in said:
            assert said[field.name] == ("" if field.required else json.dumps(field.default)), field.name


def test_the_table_of_settings_is_that_of_the_schema() -> None:
    rows = table(section("Settings"))[2:]
    assert rows == [
        [setting.name, json.dumps(setting.default), setting.range_text, setting.description] for setting in SETTINGS
    ]


def test_all_that_a_model_says_is_described() -> None:
    rows = table(section("Models"))
    learned = rows.index(["range", "meaning"])
    described = {name.split(".")[0] for name in names(rows[:learned]) if not name.startswith(".")}
    assert described == set(ModelInfo.__struct_fields__)
    assert names(rows[learned:]) == list(LearnedMotion.__struct_fields__)


def test_all_that_made_a_job_is_described() -> None:
    assert names(table(section("`done`", level="###"))) == list(MadeWith.__struct_fields__)


def test_every_stage_is_described() -> None:
    assert [name.strip('"') for name in names(table(section("`progress`", level="###")))] == list(get_args(Stage))


def test_the_files_look_as_shown() -> None:
    connection, installation = examples(section("Finding the service"))
    assert msgspec.to_builtins(msgspec.convert(connection, Connection)) == connection
    assert msgspec.to_builtins(msgspec.convert(installation, Installation)) == installation


def error_codes() -> set[str]:
    """The codes of all error classes that a job can meet, and those written out where an `ErrorInfo` is made."""
    paths = [path for package in ("protocol", "backend", "cvd") for path in (PROJECT / package).rglob("*.py")]
    sources = [path.read_text("utf-8") for path in paths if not {"training", "evaluation"} & set(path.parts)]
    return {
        match[1] or match[2]
        for source in sources
        for match in re.finditer(r'^    code = "(\w+)"$|(?:ErrorInfo\(\s*code=|error_info\(\s*)"(\w+)"', source, re.M)
    }


def test_every_error_code_is_in_a_table() -> None:
    assert ProtocolError.code in error_codes()
    described = {row[0] for row in table(section("Errors"))} - {"code", "---"}
    assert described == error_codes()


def test_limits_and_version_are_those_of_the_code() -> None:
    numbers = [int(number) for number in re.findall(r"\| (\d+)", section("Limits"))]
    limits = [wire.MAX_HEADER_BYTES, wire.MAX_BUFFER_BYTES, wire.MAX_BUFFERS, wire.MAX_MESSAGE_BYTES]
    assert numbers == [*limits, MAX_VIEWS, MAX_FRAMES]
    assert f"the protocol's version, {PROTOCOL_VERSION} |" in PAGE
