"""What the events service can refuse."""

from typing import ClassVar

from libs.chassis.errors import Kind, ServiceError


class FilterInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "event-filter-invalid"
    title: ClassVar[str] = "The filter of an event query cannot be honoured"

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"query parameter '{parameter}': {why}", parameter=parameter)
