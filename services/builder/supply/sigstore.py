"""The file that ``cosign generate-key-pair`` writes: scrypt, then NaCl's secretbox, in JSON."""

import base64
import binascii
import re
from typing import Annotated, Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from services.builder.errors import SupplyError
from services.builder.supply.documents import parsed

_BLOCK: Final = re.compile(
    rb"-----BEGIN ENCRYPTED (COSIGN|SIGSTORE) PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----"
)
_LIMIT: Final = 32 * 1024
_MEMORY: Final = 256 * 1024 * 1024
"""Of scrypt, whose parameters are the file's. Cosign's take 64 MiB."""

_Text = Annotated[str, StringConstraints(max_length=8192)]


class _Parameters(BaseModel):
    N: Annotated[int, Field(ge=2, le=2**20)]
    r: Annotated[int, Field(ge=1, le=32)]
    p: Annotated[int, Field(ge=1, le=16)]


class _Kdf(BaseModel):
    name: str
    params: _Parameters
    salt: _Text


class _Cipher(BaseModel):
    name: str
    nonce: _Text


class _File(BaseModel):
    kdf: _Kdf
    cipher: _Cipher
    ciphertext: _Text


def is_encrypted(pem: bytes) -> bool:
    return _BLOCK.search(pem) is not None


def opened(pem: bytes, password: bytes | None) -> bytes:
    """The private key in PKCS#8. Cosign encrypts with an empty password where there is none."""
    found = _file(pem)
    parameters = found.kdf.params
    if 128 * parameters.N * parameters.r > _MEMORY:
        raise SupplyError("the signing key asks for more memory than 256 MiB to be decrypted")
    try:
        salt, nonce, sealed = map(_decoded, (found.kdf.salt, found.cipher.nonce, found.ciphertext))
        kdf = Scrypt(salt=salt, length=32, n=parameters.N, r=parameters.r, p=parameters.p)
        return bytes(SecretBox(kdf.derive(password or b"")).decrypt(sealed, nonce))
    except CryptoError as error:
        raise SupplyError("the signing key does not open: the password is wrong") from error
    except (ValueError, TypeError) as error:
        raise SupplyError(f"the signing key is damaged: {error}") from error


def _file(pem: bytes) -> _File:
    block = _BLOCK.search(pem)
    if block is None:
        raise SupplyError("this is no key of cosign's")
    try:
        text = _decoded(b"".join(block[2].split()).decode())
        found = _File.model_validate(parsed(text, what="the signing key", limit=_LIMIT))
    except (binascii.Error, ValidationError) as error:
        raise SupplyError("the signing key is damaged: it is not what cosign writes") from error
    if found.kdf.name != "scrypt" or found.cipher.name != "nacl/secretbox":
        raise SupplyError("the signing key is encrypted in a way that is not cosign's")
    return found


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
