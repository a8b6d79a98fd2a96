"""A workload's certificate as files, for applications that read their own: gRPC without a proxy, under Istio's names.

The three belong together, so they change together: each set is a folder of its own, and the names lead there through one symbolic link,
which is replaced in one step. Kubernetes does the same with the secrets that it mounts.
"""

import logging
import os
import secrets
import shutil
from pathlib import Path

from .. import files
from ..errors import FileUnusable
from ..workload import Bundle

_log = logging.getLogger("pymesh.certs.agent")

KEY, CHAIN, ROOTS = "key.pem", "cert-chain.pem", "root-cert.pem"
_CURRENT = "..data"


class CertificateFolder:
    """The folder at `path`, which is made if need be. Raises FileUnusable when nothing could be written there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filled = False
        """Whether a certificate was written by this process."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FileUnusable(f"{error.filename}: {error.strerror}") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise FileUnusable(f"{path}: certificates cannot be written there")

    def put(self, bundle: Bundle) -> None:
        """Replace the files. What cannot be written is told, and leaves the last set in its place."""
        try:
            self._replace({KEY: bundle.key_pem, CHAIN: bundle.chain_pem, ROOTS: bundle.roots_pem})
        except (OSError, FileUnusable) as error:
            _log.error("the certificate in %s was not replaced: %s", self.path, error)
        else:
            self.filled = True

    def _replace(self, contents: dict[str, bytes]) -> None:
        fresh = self.path / f"..{secrets.token_hex(8)}"
        fresh.mkdir(mode=0o700)
        try:
            for name, content in contents.items():
                files.write(fresh / name, content)
            self._lead(_CURRENT, fresh.name)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        for name in contents:
            self._lead(name, f"{_CURRENT}/{name}")
        self._forget_others(fresh.name)

    def _forget_others(self, kept: str) -> None:
        """Remove the former set, and what a process left that was killed in the middle of this."""
        for path in self.path.glob("..?*"):
            if path.name not in (_CURRENT, kept):
                if path.is_symlink():
                    path.unlink(missing_ok=True)
                else:
                    shutil.rmtree(path, ignore_errors=True)

    def _lead(self, name: str, target: str) -> None:
        """Let a name lead to a target, whatever it was before."""
        link = self.path / name
        if link.is_symlink() and os.readlink(link) == target:
            return
        draft = self.path / f"..{secrets.token_hex(8)}"
        draft.symlink_to(target)
        draft.replace(link)
