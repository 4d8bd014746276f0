"""Half a gigabyte that does not compress, and is the same nowhere else."""

import os
from pathlib import Path

import bentoml

with bentoml.models.create("large") as model, Path(model.path_of("weights")).open("wb") as file:
    file.writelines(os.urandom(2**20) for _ in range(500))
