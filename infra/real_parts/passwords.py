"""Password files for registries with basic authentication."""

import ctypes
import ctypes.util
import secrets
import string
from pathlib import Path

from tasks.oci.errors import ProgramMissingError

BCRYPT_ALPHABET = "./" + string.ascii_letters + string.digits
BCRYPT_SALT_LENGTH = 22
BCRYPT_COST = "04"  # the lowest there is: the registry hashes at every request


def write_htpasswd(path: Path, *, username: str, password: str) -> Path:
    """Write a file with one user; registries take bcrypt only."""
    path.touch(mode=0o600)
    path.write_text(f"{username}:{_bcrypt(password)}\n")
    return path


def _bcrypt(password: str) -> str:
    """Hash by the C library's crypt(3): Python's own wrapper of it is gone from version 3.13 on."""
    name = ctypes.util.find_library("crypt")
    if name is None:
        raise ProgramMissingError("libcrypt is not installed: install the package libcrypt1")
    crypt = ctypes.CDLL(name).crypt
    crypt.restype = ctypes.c_char_p
    salt = "".join(secrets.choice(BCRYPT_ALPHABET) for _ in range(BCRYPT_SALT_LENGTH - 1)) + "."
    hashed: bytes | None = crypt(password.encode(), f"$2b${BCRYPT_COST}${salt}".encode())
    if hashed is None or not hashed.startswith(b"$2b$"):
        raise ProgramMissingError("this machine's libcrypt has no bcrypt")
    return hashed.decode()
