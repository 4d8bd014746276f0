"""What a token for images must hold, read from a request as the registry itself reads it."""

import pytest

from services.gateway.routing.images import allowed, asked, challenge, needed

DIGEST = "sha256:" + "0" * 64


def words(method: str, path: str, **query: str) -> list[str] | None:
    scopes = needed(method, path, query)
    return None if scopes is None else [each.text for each in scopes]


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/v2/", []),
        ("GET", "/v2/a/b/manifests/v1", ["repository:a/b:pull"]),
        ("HEAD", f"/v2/a/blobs/{DIGEST}", ["repository:a:pull"]),
        ("GET", "/v2/a/tags/list", ["repository:a:pull"]),
        ("GET", f"/v2/a/referrers/{DIGEST}", ["repository:a:pull"]),
        ("PUT", "/v2/a/manifests/v1", ["repository:a:pull,push"]),
        ("DELETE", "/v2/a/manifests/v1", ["repository:a:delete"]),
        ("DELETE", f"/v2/a/blobs/{DIGEST}", ["repository:a:delete"]),
        ("POST", "/v2/a/blobs/uploads/", ["repository:a:pull,push"]),
        ("GET", "/v2/a/blobs/uploads/x", ["repository:a:pull,push"]),
        ("DELETE", "/v2/a/blobs/uploads/x", ["repository:a:pull,push"]),
    ],
)
def test_every_request_has_its_scope(method: str, path: str, wanted: list[str]) -> None:
    assert words(method, path) == wanted


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/a/blobs/b/manifests/c", "a/blobs/b"),
        ("/v2/a/blobs/uploads/manifests/c", "a/blobs/uploads"),
        ("/v2/a/manifests/blobs/uploads/manifests", "a/manifests"),
        ("/v2/a/tags/list/tags/list", "a/tags/list"),
        ("/v2/a/blobs/uploads/blobs/uploads/", "a/blobs/uploads"),
    ],
)
def test_names_are_read_from_the_paths_end(path: str, name: str) -> None:
    scopes = needed("PUT", path, {})
    assert scopes is not None
    assert [each.name for each in scopes] == [name]


@pytest.mark.parametrize(
    "path",
    ["/v2/a", "/v2/manifests/v1", "/v2/%61/manifests/v1", "/v2/a b/tags/list", "/v2/A/tags/list"],
)
def test_what_is_no_path_of_the_registry_cannot_be_allowed(path: str) -> None:
    assert needed("GET", path, {}) is None


def test_a_mount_needs_to_pull_from_its_source() -> None:
    path = "/v2/a/blobs/uploads/"
    assert words("POST", path, mount=DIGEST, **{"from": "b"}) == [
        "repository:a:pull,push",
        "repository:b:pull",
    ]


def test_what_can_be_granted_is_what_the_protocol_names() -> None:
    scopes = asked(
        [
            "repository:a:push,pull repository:b:*",
            "registry:catalog:*",
            "repository:c:fly",
            "repository::pull",
            'repository:"d:pull',
            "nonsense",
        ]
    )
    assert [each.text for each in scopes] == [
        "repository:a:pull,push",
        "repository:b:pull,push,delete",
    ]
    assert len(asked([f"repository:r{n}:pull" for n in range(100)])) == 10


def test_a_scope_is_of_one_repository_and_its_actions() -> None:
    held = asked(["repository:a:pull", "repository:b:pull,push"])

    assert allowed(held, asked(["repository:a:pull", "repository:b:push"]))
    assert allowed(held, [])
    assert not allowed(held, asked(["repository:a:push"]))
    assert not allowed(held, asked(["repository:a/b:pull"]))


def test_a_challenge_says_where_and_what_for() -> None:
    wanted = asked(["repository:a:pull", "repository:b:push"])
    assert challenge("http://h/v2/token", wanted, error="insufficient_scope") == (
        'Bearer realm="http://h/v2/token",service="yokocho",'
        'scope="repository:a:pull repository:b:push",error="insufficient_scope"'
    )
