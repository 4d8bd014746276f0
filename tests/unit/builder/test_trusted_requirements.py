"""Which lines of requirements reach uv: what reads a file of the builder's does not."""

import pytest

from services.builder.errors import BuildFailedError
from services.builder.plan import require_harmless, requirements_of


@pytest.mark.parametrize(
    "line",
    [
        "-r /etc/passwd",
        "-r other.txt",
        "-r/etc/passwd",
        "-r\t/etc/passwd",
        "--requirement=/etc/passwd",
        "-c /etc/passwd",
        "--constraint /etc/passwd",
        "-e /srv/project",
        "--editable ./src",
        "-f /",
        "--find-links /",
        "--find-links=file:///",
        "--index-url https://example.org/simple -r /etc/passwd".removeprefix("--index-url "),
        "x @ file:///etc/passwd",
        "x@file:///etc/passwd",
        "x @ /etc/passwd",
        "x @ ./x.whl",
        "x[more] @ FILE:///etc/x.whl",
        "x @ git+file:///srv/project",
        "x @ https://example.org/${UV_INDEX_PASSWORD}/x.whl",
        "x @ ${HOME}/x.whl",
        "${HOME}/x.whl",
        "file:///etc/x.whl",
        "/etc/x.whl",
        "./x",
        "../x",
        "folder/x",
        "x-1.0-py3-none-any.whl",
        "x-1.0.tar.gz",
        "x>=1 -r /etc/passwd",
        "x --hash=sha256:00 -r /etc/passwd",
        "x>=1 --config-settings=a=b",
        "--unknown",
        "x" + " " * 100_000 + "?",
        "x" * 3000,
    ],
)
def test_what_could_read_a_file_is_refused_by_name(line: str) -> None:
    with pytest.raises(BuildFailedError, match="is refused: packages come from") as refused:
        require_harmless(f"good==1.0\n{line}\n")

    assert refused.value.code == "requirements-refused"
    assert line[:20] in refused.value.reason.replace("\\t", "\t")


@pytest.mark.parametrize(
    "line",
    [
        "# a remark",
        "x",
        "x==1.0",
        "x == 1.0 ; python_version < '3.12' and sys_platform == 'linux'  # for it",
        "x[a,b]>=1.0,<2,!=1.5.*",
        "x (>=1.0)",
        "x~=1.0.post1+local",
        "zope.interface",
        "x @ https://example.org/x-1.0-py3-none-any.whl#sha256=00",
        "x[a]@http://127.0.0.1:8000/x.zip ; python_version > '3'",
        "https://example.org/x-1.0.tar.gz",
        "x @ git+https://example.org/x.git@v1#subdirectory=python",
        "git+ssh://git@example.org/x.git",
        "x==1.0 --hash=sha256:00ff --hash=sha256:ff00",
        "--pre",
        "--no-binary :all:",
        "--only-binary=x,y",
        "-f https://download.example.org/whl/stable.html",
        "--find-links https://download.example.org/whl/stable.html",
    ],
)
def test_what_an_index_or_an_address_has_is_let_through(line: str) -> None:
    require_harmless(f"{line}\n")


def test_a_line_that_goes_on_is_one_line() -> None:
    """Otherwise what it goes on with would be taken for something else."""
    lines = "x==1.0 \\\n  --hash=sha256:00\n-r \\\n/etc/passwd\n# no \\\ny\n"

    found = requirements_of({}, lines)

    assert found == "x==1.0  --hash=sha256:00\n-r  /etc/passwd\ny\n"
    with pytest.raises(BuildFailedError, match="passwd"):
        require_harmless(found)
