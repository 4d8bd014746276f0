"""The model that the service has: run with the client's own Python."""

import bentoml
from sklearn.linear_model import LinearRegression

bentoml.sklearn.save_model(
    "doubling", LinearRegression().fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0])
)
