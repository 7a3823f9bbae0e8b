"""The connection file and the installation record."""

import os
import stat
from pathlib import Path

import pytest

from protocol import connection, places
from protocol.connection import Connection, Installation
from protocol.errors import ConnectionFileError, InsecureFileError, NotInstalledError

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows keeps profile folders private itself")


def make_connection(session: str = "s1") -> Connection:
    keys = connection.generate_keys()
    return Connection(
        endpoint="tcp://127.0.0.1:5555",
        server_public_key=keys.server_public_key,
        client_public_key=keys.client_public_key,
        client_secret_key=keys.client_secret_key,
        pid=os.getpid(),
        session=session,
        log_path="/tmp/service.log",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "connection.json"


def test_what_is_written_is_read(path: Path) -> None:
    written = make_connection()
    connection.write_connection(written, path)
    assert connection.read_connection(path) == written
    assert [entry.name for entry in path.parent.iterdir()] == ["connection.json"]


@posix_only
def test_only_its_owner_may_read_it(path: Path) -> None:
    previous = os.umask(0)
    try:
        connection.write_connection(make_connection(), path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@posix_only
def test_writing_again_mends_the_permissions(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o666)
    connection.write_connection(make_connection(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    connection.write_connection(make_connection(), path)
    path.chmod(mode)
    with pytest.raises(InsecureFileError, match="other users"):
        connection.read_connection(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    connection.write_connection(make_connection(), path)
    os.chown(path, 54321, -1)
    with pytest.raises(InsecureFileError, match="another user"):
        connection.read_connection(path)


def test_a_missing_file_says_how_to_start_the_service(path: Path) -> None:
    with pytest.raises(ConnectionFileError) as error:
        connection.read_connection(path)
    assert "python -m backend" in error.value.hint


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"endpoint": 7}'])
def test_a_broken_file_is_named(path: Path, content: bytes) -> None:
    connection.write_connection(make_connection(), path)
    path.write_bytes(content)
    with pytest.raises(ConnectionFileError, match=r"connection\.json is broken"):
        connection.read_connection(path)


def test_a_service_that_ends_leaves_its_successors_file(path: Path) -> None:
    connection.write_connection(make_connection("second"), path)
    connection.remove_connection(path, "first")
    assert path.exists()
    connection.remove_connection(path, "second")
    assert not path.exists()
    connection.remove_connection(path, "second")


def test_every_start_has_keys_of_its_own() -> None:
    first, second = connection.generate_keys(), connection.generate_keys()
    assert len({first.server_public_key, second.server_public_key, first.client_public_key}) == 3
    assert len(first.client_secret_key) == 40


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CVD_HOME", str(tmp_path))
    assert connection.connection_path() == tmp_path / "connection.json"
    monkeypatch.delenv("CVD_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert places.FOLDER_NAME in places.home_folder().parts
    assert places.models_folder() == places.home_folder() / "models"


def test_the_installation_is_found_again(tmp_path: Path) -> None:
    path, python = tmp_path / "installation.json", tmp_path / "python"
    python.touch()
    installation = Installation(python=str(python), project=str(tmp_path), version="0.1.0")
    connection.write_installation(installation, path)
    assert connection.read_installation(path) == installation
    python.unlink()
    with pytest.raises(NotInstalledError, match="python is gone") as error:
        connection.read_installation(path)
    assert "install.py" in error.value.hint


def test_no_installation_says_how_to_install(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError) as error:
        connection.read_installation(tmp_path / "installation.json")
    assert "install.py" in error.value.hint
    (tmp_path / "installation.json").write_text("{")
    with pytest.raises(NotInstalledError, match="cannot be read"):
        connection.read_installation(tmp_path / "installation.json")
