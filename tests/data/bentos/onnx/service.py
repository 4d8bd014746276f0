import bentoml


@bentoml.service(name="onnx_bento", workers=1)
class Adding:
    def __init__(self) -> None:
        import numpy
        import onnxruntime
        from onnx import TensorProto, helper

        def value(name):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None])

        node = helper.make_node("Add", ["a", "b"], ["sum"])
        graph = helper.make_graph([node], "adding", [value("a"), value("b")], [value("sum")])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        self.numpy = numpy
        self.session = onnxruntime.InferenceSession(
            made.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    @bentoml.api
    def predict(self, a: list[float], b: list[float]) -> list[float]:
        given = {"a": self.numpy.float32(a), "b": self.numpy.float32(b)}
        return [float(each) for each in self.session.run(["sum"], given)[0]]
