"""Commands of `pymesh` run beside a mesh, as people run them."""

import asyncio

from click.testing import CliRunner, Result

from pymesh.cli import main

from .mesh import HOST, Mesh


async def ask(mesh: Mesh, *arguments: str) -> Result:
    """Run a command against the mesh's control plane."""
    control = f"{HOST}:{mesh.plan.control.monitoring}"
    return await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--control", control])
