"""One running mesh for all tests of this folder that leave it as they found it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.mesh import Mesh, running, split


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """All requests to `reviews` go to v1; a test that needs other routes puts a service of its own beside it."""
    async with running(tmp_path_factory.mktemp("mesh"), split(v1=100)) as mesh:
        yield mesh
