import bentoml


@bentoml.service(name="own_wheel", workers=1)
class Said:
    @bentoml.api
    def predict(self) -> str:
        import house_sauce

        return house_sauce.RECIPE
