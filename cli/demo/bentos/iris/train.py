"""Train a small classifier and save it in the local model store."""

import bentoml
from sklearn import datasets, svm

iris = datasets.load_iris()
classifier = svm.SVC(gamma="scale").fit(iris.data, iris.target)
saved = bentoml.sklearn.save_model(
    "iris", classifier, metadata={"accuracy": classifier.score(iris.data, iris.target)}
)
print(saved.tag)
