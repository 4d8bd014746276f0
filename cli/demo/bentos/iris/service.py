"""One service, one model: the species of an iris from four lengths in centimetres."""

import bentoml
import sklearn

SPECIES = ["setosa", "versicolor", "virginica"]


@bentoml.service(
    name="iris",
    image=bentoml.images.Image().python_packages(f"scikit-learn=={sklearn.__version__}"),
    traffic={"timeout": 30},
)
class Iris:
    model = bentoml.models.BentoModel("iris:latest")

    def __init__(self) -> None:
        self.classifier = bentoml.sklearn.load_model(self.model)

    @bentoml.api
    def classify(self, features: list[float]) -> dict[str, str]:
        return {"species": SPECIES[self.classifier.predict([features])[0]]}
