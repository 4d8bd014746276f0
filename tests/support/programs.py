"""Programs that hypothesis writes and shrinks, run against servers in the test's own loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typing_extensions import override

LONGEST: Final = 12


@dataclass(frozen=True, slots=True)
class Step:
    """A call that a model and the client beside it both understand, and both answer."""

    verb: str
    arguments: tuple[Any, ...] = ()

    def of(self, actor: object) -> Any:
        return getattr(actor, self.verb)(*self.arguments)

    @override
    def __repr__(self) -> str:
        return f"{self.verb}({', '.join(map(repr, self.arguments))})"


def programs_of(
    first: Step, steps: st.SearchStrategy[Step], *phrases: st.SearchStrategy[list[Step]]
) -> st.SearchStrategy[list[Step]]:
    """``phrases`` lead where steps alone seldom come: every other one of what is said."""
    alone = steps.map(lambda step: [step])
    said = st.sampled_from([*[alone] * len(phrases), *phrases]).flatmap(lambda chosen: chosen)
    return st.lists(said, min_size=1, max_size=LONGEST).map(
        lambda parts: [first, *(step for part in parts for step in part)][:LONGEST]
    )


async def hold_for_all(
    programs: st.SearchStrategy[list[Step]],
    run: Callable[[list[Step]], Awaitable[None]],
    *,
    examples: int,
    always: Sequence[list[Step]] = (),
) -> None:
    """The same programs every time, and ``always``: those that failed once. The shortest that
    fails is printed.
    """
    loop = asyncio.get_running_loop()

    async def bounded(program: list[Step]) -> None:
        async with asyncio.timeout(30):
            await run(program)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs)
    def check(program: list[Step]) -> None:
        asyncio.run_coroutine_threadsafe(bounded(program), loop).result()

    for program in always:
        check = example(program)(check)
    await asyncio.to_thread(check)
