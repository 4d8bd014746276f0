"""Whether an image may run, as whoever knows its signatures says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reasons`` say why it is not trusted; while it is ``pending``, a signature may come."""

    trusted: bool
    pending: bool = False
    reasons: tuple[str, ...] = ()
