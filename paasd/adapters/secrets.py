"""Config vars at rest: sealed with AES-256-GCM under the key file, each bound to its app, never in plain text."""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from paasd.domain.errors import StoreUnavailable

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = b"\x01"  # format byte, nonce, ciphertext with its tag


class ConfigSeal:
    """Seals and opens config snapshots. Stateless: may be used from any thread."""

    def __init__(self, key: bytes, key_file: Path) -> None:
        """`key` is 32 bytes; `key_file` is named in errors."""
        self._cipher = AESGCM(key)
        self._key_file = key_file

    def seal(self, config: Mapping[str, str], app_id: str) -> bytes:
        """The config as bytes that only this key opens, and only for this app."""
        nonce = os.urandom(NONCE_BYTES)
        plain = json.dumps(dict(config), separators=(",", ":")).encode()
        return FORMAT + nonce + self._cipher.encrypt(nonce, plain, app_id.encode())

    def open(self, sealed: bytes, app_id: str) -> dict[str, str]:
        """What was sealed. StoreUnavailable when the key is not the one it was sealed with, or the bytes changed."""
        body = 1 + NONCE_BYTES
        if sealed[:1] != FORMAT:
            raise StoreUnavailable(
                "Config vars in the store are in a format this version does not know; run the newer paasd again."
            )
        try:
            plain = self._cipher.decrypt(sealed[1:body], sealed[body:], app_id.encode())
        except InvalidTag as error:
            raise StoreUnavailable(
                f"The config vars in the store can't be opened with the key in {self._key_file}; "
                "put back the key file that belongs to this store."
            ) from error
        return {str(name): str(value) for name, value in json.loads(plain).items()}


def read_key(key_file: Path) -> bytes | None:
    """The key, or None when there is no such file. StoreUnavailable when others may read it, or it can't be used."""
    try:
        with key_file.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1024)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(
            f"The key file {key_file} can't be read ({error.strerror}); mend its owner and mode (0600)."
        ) from error
    if mode & 0o077:
        raise StoreUnavailable(f"The key file {key_file} is open to other users; run `chmod 600 {key_file}`.")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreUnavailable(
            f"The key file {key_file} does not hold a key of {KEY_BYTES} bytes; put it back from a backup."
        )
    return key


def create_key(key_file: Path) -> bytes:
    """A new key, on the disk with mode 0600 when this returns. The key of whoever was first, if two try at once."""
    aside = key_file.with_name(f".{key_file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            _link(aside, key_file)
        finally:
            aside.unlink()
    except OSError as error:
        raise StoreUnavailable(
            f"The key file {key_file} can't be written ({error.strerror}); free disk space or mend its directory."
        ) from error
    key = read_key(key_file)
    if key is None:
        raise StoreUnavailable(f"The key file {key_file} vanished while it was made; start again.")
    return key


def _link(aside: Path, key_file: Path) -> None:
    try:
        key_file.hardlink_to(aside)
    except FileExistsError:
        return
    directory = os.open(key_file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
