"""Everything that can go wrong between a client and the service, as types.

Each error has a stable `code` for programs, a `message` for people, and a `hint` that says what to do next. So programs
can show it as it is, or send it as `messages.ErrorInfo`.
"""

from __future__ import annotations

from .messages import ErrorInfo, error_info


class ProtocolError(Exception):
    """Base of all errors of this package."""

    code = "protocol"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def info(self) -> ErrorInfo:
        """The same as a struct that can be sent."""
        return error_info(self.code, self.message, self.hint)


class WireError(ProtocolError):
    """A message that cannot be sent or understood. `reply_to` is its id, where that could be read."""

    reply_to: str | None = None


class MalformedMessageError(WireError):
    """Not a message of this protocol: broken JSON, an unknown type, a value out of range, or wrong buffers."""

    code = "malformed"


class WrongVersionError(WireError):
    """The other side speaks another version of the protocol, `version`."""

    code = "version"

    def __init__(self, message: str, hint: str = "", version: int | None = None) -> None:
        super().__init__(message, hint)
        self.version = version


class MessageTooLargeError(WireError):
    """A header, a buffer or their number is over the limits of `wire`."""

    code = "too_large"


class ConnectionFileError(ProtocolError):
    """The connection file is missing, unreadable or broken, so nothing says where the service is."""

    code = "connection_file"


class InsecureFileError(ConnectionFileError):
    """Other users may read the connection file, which holds secret keys, or own it."""

    code = "insecure_connection_file"


class NotInstalledError(ProtocolError):
    """There is no record of an installed service, or it points to something that is gone."""

    code = "not_installed"


class ServiceUnreachableError(ProtocolError):
    """Nothing answers at the service's address."""

    code = "unreachable"


class WrongKeyError(ProtocolError):
    """The service and the client do not have each other's keys: the encrypted handshake was refused."""

    code = "wrong_key"


class ServiceLostError(ProtocolError):
    """The service answered before and no longer does."""

    code = "lost"


class RequestFailedError(ProtocolError):
    """The service answered a request with `Failed`; `code`, `message` and `hint` are the service's."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(error.message, error.hint)
        self.code = error.code
