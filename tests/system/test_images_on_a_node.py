"""A node of Kubernetes pulls an image from our registry and runs it as a pod, which answers."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from typing_extensions import override

from cli.ports import free_pair
from tests.support.imager import Imager
from tests.support.lab import MACHINE, NODE, Lab, node
from tests.support.platform import LocalPlatform
from tests.support.twenty import Bench, case_of

pytestmark = [pytest.mark.timeout(900), pytest.mark.soak]


class Reached(LocalPlatform):
    """A platform on the machine's side of the cable."""

    @property
    @override
    def url(self) -> str:
        return f"http://{MACHINE}:{self.port}"


@pytest.fixture(scope="module")
def port() -> int:
    return free_pair()


@pytest.fixture(scope="module")
def lab(port: int) -> Iterator[Lab]:
    with node(registry=f"{MACHINE}:{port}") as lab:
        yield lab


@pytest.fixture(scope="module")
def bench(lab: Lab, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    assert lab.kubeconfig
    told = {"YOKOCHO_HOST": "0.0.0.0", "YOKOCHO_PUBLIC_URL": f"http://{MACHINE}:{port}"}  # noqa: S104 - the node asks
    platform = Reached(tmp_path_factory.mktemp("platform") / "home", port, told)
    try:
        platform.up()
        imager = Imager(platform, tmp_path_factory.mktemp("images"))
        imager.bring_debian()
        yield Bench(imager, tmp_path_factory.mktemp("clients"))
    finally:
        platform.down()


def objects(image: str, registry: str, token: str) -> tuple[dict[str, Any], ...]:
    """What somebody writes who deploys it by hand."""
    auth = base64.b64encode(f"anybody:{token}".encode()).decode()
    config = json.dumps({"auths": {registry: {"auth": auth}}})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }
    labels = {"app": "bento"}
    container = {
        "name": "bento",
        "image": image,
        "ports": [{"containerPort": 3000}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 3000}, "periodSeconds": 1},
        "securityContext": {"runAsUser": 1034, "runAsNonRoot": True},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bento", "labels": labels},
        "spec": {"containers": [container], "imagePullSecrets": [{"name": "pull"}]},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bento"},
        "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 3000}]},
    }
    return secret, pod, service


def test_a_pod_of_it_answers(bench: Bench, lab: Lab) -> None:
    case, platform = case_of("two"), bench.imager.platform
    build = bench.imager.built(bench.pushed(case))
    registry = platform.url.removeprefix("http://")
    image = f"{registry}/{build['uri'].removeprefix('oci://').partition('@')[0]}"
    lab.apply(*objects(image, registry, platform.token))
    try:
        lab.run("wait", "--for=condition=Ready", "pod/bento", "--timeout=110s")
    except AssertionError:
        said = lab.run("describe", "pod/bento") + lab.run("logs", "bento", "--tail=50")
        pytest.fail(said)
    pulled = json.loads(lab.run("get", "pod/bento", "-o", "json"))["status"]
    assert pulled["containerStatuses"][0]["imageID"].endswith(build["image_digest"])
    service = json.loads(lab.run("get", "service/bento", "-o", "json"))
    at = f"http://{NODE}:{service['spec']['ports'][0]['nodePort']}/{case.route}"
    assert answer(at, case.body) == case.answer


def answer(url: str, body: object) -> object:
    """After the second that kube-proxy takes."""
    deadline = time.monotonic() + 20
    headers = {"Content-Type": "application/json"}
    while True:
        sent = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(sent, timeout=30) as said:
                found: object = json.loads(said.read())
                return found
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
