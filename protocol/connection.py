"""How a client finds the service: the connection file, and the record of where the service is installed.

When the service is ready, it writes the connection file: its address, the CURVE keys of this start, its process.
Whoever has the keys can use the service. So only its owner may read the file, and clients refuse a file that others may
read. Both files lie in `home_folder()`, unless the caller names others.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import zmq

from .errors import ConnectionFileError, InsecureFileError, NotInstalledError
from .files import PRIVATE, write_whole
from .messages import PROTOCOL_VERSION, Identifier, Version
from .places import home_folder

Key = Annotated[str, msgspec.Meta(min_length=40, max_length=40)]
Record = TypeVar("Record", bound=msgspec.Struct)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running service is and the keys to it. Keys are Z85 text of 40 characters, as CURVE uses them.

    session: new at every start. log_path: the service's log, for people.
    """

    endpoint: str
    server_public_key: Key
    client_public_key: Key
    client_secret_key: Key
    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    session: Identifier
    log_path: str
    protocol_version: Version = PROTOCOL_VERSION


class ServerKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The CURVE keys of one start: the service's own pair, and the pair of the one client key that it lets in."""

    server_public_key: Key
    server_secret_key: Key
    client_public_key: Key
    client_secret_key: Key


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Which Python runs the service (`python -m backend`), from which folder, and of which version it is."""

    python: str
    project: str
    version: str


def connection_path() -> Path:
    """The usual place of the connection file."""
    return home_folder() / "connection.json"


def installation_path() -> Path:
    """The usual place of the record of the installed service."""
    return home_folder() / "installation.json"


def generate_keys() -> ServerKeys:
    """Fresh keys for one start of the service."""
    (server_public, server_secret), (client_public, client_secret) = zmq.curve_keypair(), zmq.curve_keypair()
    return ServerKeys(
        server_public_key=server_public.decode(),
        server_secret_key=server_secret.decode(),
        client_public_key=client_public.decode(),
        client_secret_key=client_secret.decode(),
    )


def write_connection(connection: Connection, path: Path) -> None:
    """Write the connection file, readable by its owner only. It appears whole or not at all."""
    write_whole(path, msgspec.json.encode(connection), PRIVATE, durable=True)


def read_connection(path: Path) -> Connection:
    """The connection in the file at `path`.

    Raises ConnectionFileError when it is missing or broken, InsecureFileError when other users own it or may read it.
    """
    try:
        with open(path, "rb") as file:
            _refuse_shared(file.fileno(), path)
            content = file.read()
    except FileNotFoundError:
        raise ConnectionFileError(
            f"There is no connection file at {path}.", "Start the service: `python -m backend`."
        ) from None
    except OSError as error:
        raise ConnectionFileError(f"The connection file {path} cannot be read: {error.strerror}.") from error
    try:
        return msgspec.json.decode(content, type=Connection)
    except msgspec.MsgspecError as error:
        raise ConnectionFileError(
            f"The connection file {path} is broken: {error}.", "Delete it and start the service again."
        ) from error


def remove_connection(path: Path, session: str) -> None:
    """Delete the connection file of a service that ends, unless another service has replaced it."""
    try:
        if read_connection(path).session == session:
            path.unlink(missing_ok=True)
    except ConnectionFileError:
        return  # it is gone, or belongs to another service


def write_installation(installation: Installation, path: Path | None = None) -> None:
    """Record where the service is installed (done by `install.py`)."""
    content = msgspec.json.format(msgspec.json.encode(installation))
    write_whole(path or installation_path(), content, PRIVATE, durable=True)


def read_installation(path: Path | None = None) -> Installation:
    """Where the service is installed. Raises NotInstalledError when it is not, or no longer there."""
    path = path or installation_path()
    hint = "Run `python install.py` in the project's folder."
    try:
        installation = msgspec.json.decode(path.read_bytes(), type=Installation)
    except FileNotFoundError:
        raise NotInstalledError("The generation service is not installed on this machine.", hint) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise NotInstalledError(f"The installation record {path} cannot be read: {error}.", hint) from error
    for part in (installation.python, installation.project):
        if not Path(part).exists():
            raise NotInstalledError(f"The generation service was installed, but {part} is gone.", hint)
    return installation


def _refuse_shared(descriptor: int, path: Path) -> None:
    """Raise InsecureFileError unless only this user can read the file. Windows keeps profile folders private itself."""
    if os.name != "posix":
        return
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise InsecureFileError(f"The connection file {path} belongs to another user.", "Start your own service.")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InsecureFileError(
            f"The connection file {path} may be read by other users.",
            "Delete it and start the service again: its keys may be known.",
        )
