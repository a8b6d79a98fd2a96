"""Calls of mesh.yaml that lead nowhere: a sidecar opens the port of a call once something in the folder declares the service."""

from collections.abc import AsyncIterator

import aiohttp

from .mesh import Plan
from .ports import HOST


async def undeclared(plan: Plan) -> AsyncIterator[str]:
    """A sentence for each, as the control plane of a running mesh knows it; nothing if it cannot be asked."""
    monitoring = f"http://{HOST}:{plan.control.monitoring}/debug/sidecarz"
    async with aiohttp.ClientSession() as session:
        for proxy in (one for one in plan.proxies if one.outbound):
            try:
                async with session.get(monitoring, params={"proxyID": f"{proxy.pod}.{proxy.namespace}"}) as answer:
                    told = await answer.json() if answer.status == 200 else {}
            except aiohttp.ClientError:
                return
            for call in told.get("undeclared_calls", ()):
                yield f"{proxy.pod} calls {call}, which nothing in {plan.config} declares for it: connections there are refused until then"
