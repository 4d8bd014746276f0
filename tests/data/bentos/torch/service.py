import bentoml


@bentoml.service(name="torch_bento", workers=1)
class Product:
    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.layer = torch.nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[2.0, 3.0]]))

    @bentoml.api
    def predict(self, numbers: list[float]) -> float:
        with self.torch.inference_mode():
            return float(self.layer(self.torch.tensor(numbers)))
