"""The agent of an application that needs no proxy: certificates in files, kept fresh, and the bootstrap that names them."""

import contextlib
import json
from pathlib import Path

from pymesh.bootstrap import grpc
from pymesh.bootstrap.environment import Settings

from .. import enrol, files
from ..errors import AgentError
from .folder import CertificateFolder
from .status import answering
from .stop import Stop, done_before


async def run(settings: Settings, folder: CertificateFolder, bootstrap: Path | None, stop: Stop) -> int:
    """Until told to stop; returns the exit code. The bootstrap is written last: where it is, everything that it names is there."""
    identity = enrol.identity_for(settings, folder.put)
    async with answering(settings, stop, lambda: folder.filled), contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(identity.close)
        if await done_before(stop, identity.start()):
            if not folder.filled:
                raise AgentError(f"{folder.path}: the first certificate could not be written, which the application waits for")
            if bootstrap is not None:
                files.make_parent(bootstrap)
                files.write(bootstrap, json.dumps(grpc.build(settings, folder.path), indent=2).encode())
            await stop.asked.wait()
    return 0
