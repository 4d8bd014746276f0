"""What packages say of themselves: the same while a layer is written, looked into, and read."""

from pathlib import Path

from libs.contracts.mediatypes import OCI_LAYER_GZIP
from services.builder.domain import Contents
from services.builder.layers import Entry, contents_of, look, read_contents, write

_STATUS = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n"


def test_what_is_noted_in_writing_is_what_is_read(tmp_path: Path) -> None:
    metadata = tmp_path / "METADATA"
    metadata.write_text("Name: sauce\nVersion: 1\n\nA long story.\n")
    size = metadata.stat().st_size
    entries = [
        Entry("etc/os-release", content=b'NAME="Debian"\nID="debian"\n'),
        Entry("lib/broth-2.dist-info/METADATA", content=b"Name: broth\nVersion: 2\n"),
        Entry("lib/sauce-1.dist-info/METADATA", source=metadata, size=size),
        Entry("lib/sauce/METADATA", content=b"Name: none\n"),
        Entry("var/lib/dpkg/status", content=_STATUS.encode()),
    ]
    _, chunks = write(entries, media_type=OCI_LAYER_GZIP)
    layer = tmp_path / "layer"
    layer.write_bytes(b"".join(chunks))

    noted = contents_of(entries)
    looked = look([(layer, OCI_LAYER_GZIP), (layer, OCI_LAYER_GZIP)])
    assert noted == Contents(
        wheels=("Name: broth\nVersion: 2\n", "Name: sauce\nVersion: 1"),
        debian=_STATUS,
        distribution="debian",
    )
    assert read_contents(layer, OCI_LAYER_GZIP) == noted
    assert looked.contents == [noted, noted]
    assert looked.texts["var/lib/dpkg/status"] == _STATUS
