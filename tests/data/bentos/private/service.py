import bentoml


@bentoml.service(name="private_index", workers=1)
class Said:
    @bentoml.api
    def predict(self) -> str:
        import house_sauce

        return house_sauce.RECIPE
