import asyncio
from collections.abc import AsyncGenerator

import bentoml


@bentoml.service(name="streaming", workers=1)
class Counting:
    @bentoml.api
    async def predict(self, to: int) -> AsyncGenerator[str, None]:
        for each in range(to):
            await asyncio.sleep(0)
            yield f"{each}, "
