"""PEM from memory for `ssl`, whose interface wants files: key material never touches a disk where that can be helped."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_file(text: bytes) -> Iterator[str]:
    """A path at which `text` can be read while the block lasts."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, text)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone when closed
        file.write(text)
        file.flush()
        yield file.name


def load_chain(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Load a certificate chain and its key, both PEM. Raises ssl.SSLError when they do not parse or do not belong together."""
    with as_file(chain.rstrip() + b"\n" + key) as path:
        context.load_cert_chain(path)


def unreadable(chain: bytes, key: bytes) -> str:
    """What is wrong with a chain or key of which OpenSSL says nothing more than that it is no PEM."""
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        return "there is no PEM certificate in the chain"
    if b"PRIVATE KEY-----" not in key:
        return "the key is no PEM private key"
    return "the PEM is damaged"


def load_authorities(context: ssl.SSLContext, bundle: bytes) -> None:
    """Trust the certificates of a bundle. Raises ssl.SSLError or ValueError when there is none, or one that does not parse."""
    context.load_verify_locations(cadata=bundle.decode("ascii", "ignore"))  # between them stands text in any language
