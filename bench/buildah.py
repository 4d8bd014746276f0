"""buildah, building the Dockerfile that BentoML wrote, as fast as it can.

Plain ``buildah build --isolation chroot --layers`` and ``buildah push``, as root: less work than
in the namespace where the platform runs it.
"""

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Final

from bench import machine
from services.builder.containers import DEFAULT_COMMANDS
from services.builder.containers.dockerfile import prepared

_SEEN_AT: Final = "/run/bench"
_WHEELS: Final = "/run/wheels"
_CACHES: Final = {"PIP_CACHE_DIR": f"{_WHEELS}/pip", "UV_CACHE_DIR": f"{_WHEELS}/uv"}
_TRUST: Final = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_ASKED: Final = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_TRUSTED_HOST", "UV_INSECURE_HOST")
_POLICY: Final = {"default": [{"type": "insecureAcceptAnything"}]}


class Peer:
    """One storage. ``cache`` is that of pip and uv: wheels of earlier rounds."""

    def __init__(self, folder: Path, *, registry: str, token: str, cache: Path) -> None:
        self._folder = folder
        self._registry = registry
        self._cache = cache
        self._base = ""
        for each in (folder / "tmp", folder / "settings", cache):
            each.mkdir(parents=True, exist_ok=True)
        key = base64.b64encode(f"bench:{token}".encode()).decode()
        (folder / "auth.json").write_text(json.dumps({"auths": {registry: {"auth": key}}}))
        (folder / "policy.json").write_text(json.dumps(_POLICY))
        bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        (folder / "settings" / "ca.crt").write_bytes(Path(bundle).read_bytes())

    def pull(self, repository: str, digest: str) -> None:
        """The base image, so that no build waits for it, nor sends it back."""
        source = f"docker://{self._registry}/{repository}@{digest}"
        self._base = self._run("pull", "--tls-verify=false", "--quiet", source).split()[-1]

    def build(self, bento: Path, tag: str) -> float:
        """Seconds from its folder to its image in the registry."""
        file = self._folder / "Dockerfile"
        arguments = _CACHES | dict.fromkeys(_TRUST, f"{_SEEN_AT}/ca.crt")
        text = (bento / "env/docker/Dockerfile").read_text()
        text = prepared(text, base=self._base, arguments=arguments, drop=DEFAULT_COMMANDS)
        file.write_text(text)
        given = [f"--env={name}={os.environ[name]}" for name in _ASKED if name in os.environ]
        mounted = (
            f"--volume={self._folder / 'settings'}:{_SEEN_AT}:ro",
            f"--volume={self._cache}:{_WHEELS}",
        )
        how = ("--isolation", "chroot", "--network", "host", "--layers", "--pull-never", *given)
        machine.settle()
        begun = time.monotonic()
        self._run("build", *how, *mounted, "--quiet", "--file", str(file), "-t", tag, str(bento))
        self._run("push", "--tls-verify=false", tag, f"docker://{self._registry}/peer/{tag}")
        return time.monotonic() - begun

    def close(self) -> None:
        self._run("rm", "--all")
        self._run("rmi", "--all", "--force")

    def _run(self, verb: str, *words: str) -> str:
        storage = ("--root", f"{self._folder}/storage", "--runroot", f"{self._folder}/run")
        policy = () if verb in {"rm", "rmi"} else ("--signature-policy", "policy.json")
        done = subprocess.run(  # our own argv, no shell
            ["buildah", *storage, "--storage-driver", "overlay", verb, *policy, *words],
            cwd=self._folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._folder),
                "TMPDIR": str(self._folder / "tmp"),
                "REGISTRY_AUTH_FILE": str(self._folder / "auth.json"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise machine.RunError(f"buildah {verb}: {done.stdout}{done.stderr}"[-3000:])
        return done.stdout
