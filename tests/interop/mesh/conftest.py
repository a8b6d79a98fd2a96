"""One mesh for all tests of this folder; they look at it from outside with programs that nobody here wrote."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.mesh import Mesh, running, split


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """70% of the requests to `reviews` go to v1, 30% to v2."""
    async with running(tmp_path_factory.mktemp("mesh"), split(v1=70, v2=30)) as mesh:
        yield mesh
