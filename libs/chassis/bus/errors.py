"""What the bus can refuse."""

import json
from typing import Any, ClassVar

from libs.chassis.errors import Kind, ServiceError


class BusUnavailableError(ServiceError):
    """No answer. Of something that was published: unknown, so the same ids are sent again."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "bus-unavailable"
    title: ClassVar[str] = "The message bus does not answer"


class BusRefusedError(ServiceError):
    """The server said no: ``status`` and ``err_code`` are JetStream's own."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "bus-refused"
    title: ClassVar[str] = "The message bus refused a request"

    def __init__(self, what: str, *, status: int, err_code: int, description: str) -> None:
        super().__init__(f"{what}: {description} ({err_code})", err_code=err_code)
        self.status = status
        self.err_code = err_code
        self.description = description


class FencedError(BusRefusedError):
    """The stream does not end where the publisher believed: somebody else wrote to it."""

    code: ClassVar[str] = "bus-fenced"
    title: ClassVar[str] = "Another publisher was faster"


class BatchDuplicateError(BusRefusedError):
    """The batch holds an id that the stream has; the server refuses such a batch as a whole."""

    code: ClassVar[str] = "bus-batch-duplicate"
    title: ClassVar[str] = "A batch repeats a message"


class BusLostError(Exception):
    """The bus has been away for longer than a process may pretend to be well."""


def answered(what: str, raw: bytes) -> dict[str, Any]:
    """The body of a JetStream answer; ``BusRefusedError`` when it is an error."""
    try:
        body: dict[str, Any] = json.loads(raw or b"{}")
    except ValueError as error:
        raise BusUnavailableError(f"{what}: an answer that is no JSON") from error
    if refusal := body.get("error"):
        raise BusRefusedError(
            what,
            status=refusal.get("code", 0),
            err_code=refusal.get("err_code", 0),
            description=refusal.get("description", ""),
        )
    return body
