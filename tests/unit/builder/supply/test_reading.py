"""What others wrote: locks, METADATA, dpkg's status and JSON, within limits."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.builder.errors import BuildFailedError, SupplyError
from services.builder.plan import lock
from services.builder.supply import debian, documents, wheels
from services.builder.supply.documents import canonical, parsed
from services.builder.supply.values import pins_of
from services.builder.supply.wheels import wheel_of
from tests.support import supply

HASH = "--hash=sha256:" + "0" * 64


def test_a_lock_is_read_with_its_markers_and_continuations() -> None:
    assert [(each.name, each.version, len(each.hashes)) for each in pins_of(supply.LOCK)] == [
        ("alpha", "1.0", 2),
        ("beta-lib", "2.0", 1),
        ("colorama", "0.4.6", 1),
    ]


def test_options_and_comments_of_a_lock_are_no_pins() -> None:
    text = f"--index-url https://index.test\n# a==1\na==1 {HASH} # via b\n    # via c\n"
    assert [each.name for each in pins_of(text)] == ["a"]


def test_passwords_in_addresses_do_not_get_far() -> None:
    [pin] = pins_of(f"a @ https://me:secret@files.test/a-1.whl?token=t#sha256=x {HASH}")
    assert pin.version == "https://files.test/a-1.whl"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a>=1", "pins no version"),
        ("a", "pins no version"),
        ("a==1.*", "pins no version"),
        ("a==1,==2", "pins no version"),
        ("???", "no requirement"),
        ("-r more.txt", "stands alone"),
        ("-e .", "stands alone"),
        ("a==1\n" * (lock.LIMIT // 5 + 1), "are the most"),
    ],
)
def test_a_lock_that_locks_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(BuildFailedError, match=words):
        lock.locked(text)


@pytest.mark.parametrize("kind", ["md5:00", "sha256:zz"])
def test_a_hash_that_nobody_can_check_is_attested_to_nobody(kind: str) -> None:
    with pytest.raises(SupplyError, match="hash of the lock"):
        pins_of(f"a==1 --hash={kind}")


def test_metadata_is_read_up_to_its_description() -> None:
    found = wheel_of(supply.ALPHA)
    assert (found.name, found.version, found.summary) == ("alpha", "1.0", "The first")
    assert found.home == "https://example.com/alpha"
    assert [each.name for each in found.requires] == ["beta-lib", "gamma", "colorama"]


def test_what_others_wrote_stays_short_and_on_one_line() -> None:
    wild = "Name: a\nVersion: 1\nSummary: red \x1b[31m" + "x" * 999 + "\n more\nLicense: "
    wild += "Permission is hereby granted\n" + " words\n" * 100
    wild += "Home-page: javascript:alert(1)\nRequires-Dist: ???\n"
    found = wheel_of(wild.encode())
    assert found.summary is not None
    assert len(found.summary) == wheels.SUMMARY
    assert found.summary.isprintable()
    assert (found.licenses, found.home, found.requires) == ((), None, ())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no name"),
        (b"Name: a\n", "no name or no version"),
        (b"Name: UNKNOWN\nVersion: 1\n", "no name"),
        (b"x" * (wheels.LIMIT + 1), "are the most"),
    ],
)
def test_metadata_of_nothing_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(SupplyError, match=words):
        wheel_of(data)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_metadata_breaks_the_reader(data: bytes) -> None:
    with suppress(SupplyError):
        found = wheel_of(b"Name: a\nVersion: 1\n" + data)
        assert found.summary is None or found.summary.isprintable()


def test_removed_packages_are_not_in_the_image() -> None:
    found = debian.packages_of(supply.DPKG)
    assert [(each.name, each.source) for each in found] == [("adduser", None), ("libc6", "glibc")]


@pytest.mark.parametrize("name", ["", "../x", "a b", "A" * 300])
def test_packages_that_cannot_be_are_refused(name: str) -> None:
    status = f"Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"
    with pytest.raises(SupplyError, match="cannot be"):
        debian.packages_of(status)
    with pytest.raises(SupplyError, match="are the most"):
        debian.packages_of("x" * (debian.LIMIT + 1))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[]", "not a JSON object"),
        (b"{", "no JSON"),
        (b'{"a":NaN}', "no number"),
        (b'{"a":1,"a":2}', "twice"),
        (b"\xff", "no JSON"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "nests deeper"),
        (b'{"a":' + b"[" * 200_000, "no JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "no JSON"),
        (b" " * 1001, "are the most"),
    ],
)
def test_json_of_others_is_read_within_limits(data: bytes, words: str) -> None:
    limit = 1000 if data.startswith(b" ") else 1_000_000
    with pytest.raises(SupplyError, match=words):
        parsed(data, what="it", limit=limit)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), _JSON, max_size=5))
def test_what_is_written_is_read_back(value: dict[str, object]) -> None:
    written = canonical(value)
    with suppress(SupplyError):  # deeper than we write
        assert parsed(written, what="it", limit=documents.DEPTH * 1_000_000) == value
    assert canonical(dict(reversed(value.items()))) == written
