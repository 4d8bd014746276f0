import bentoml


@bentoml.service(name="sdist_only", workers=1)
class Parsing:
    @bentoml.api
    def predict(self, words: list[str]) -> str:
        import docopt

        return docopt.docopt("Usage: cook <dish>", argv=words)["<dish>"]
