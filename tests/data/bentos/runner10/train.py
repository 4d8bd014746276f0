import pathlib

import bentoml
from bentoml._internal.models.model import ModelContext

context = ModelContext(framework_name="none", framework_versions={})
with (
    bentoml.models.create("factor", module="json", signatures={}, context=context) as model,
    pathlib.Path(model.path_of("factor")).open("w") as file,
):
    file.write("2.0")
