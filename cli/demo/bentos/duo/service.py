"""Two services, each a process of its own: a greeter that depends on a counter."""

import bentoml

image = bentoml.images.Image()


@bentoml.service(image=image)
class Counter:
    @bentoml.api
    def letters(self, text: str) -> int:
        return sum(letter.isalpha() for letter in text)


@bentoml.service(name="duo", image=image)
class Greeter:
    counter = bentoml.depends(Counter)

    @bentoml.api
    async def greet(self, name: str) -> str:
        count = await self.counter.to_async.letters(name)
        return f"Irasshaimase, {name}! Your name has {count} letters."
