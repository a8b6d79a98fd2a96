"""What people see of the local mesh: what is being waited for, and where everything is reached."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from .mesh import Plan, Say
from .ports import HOST


@contextmanager
def progress(console: Console) -> Iterator[Say]:
    """A spinner on a terminal, a line for each thing awaited elsewhere."""
    if not console.is_terminal:
        yield lambda what: console.print(f"... {what}", highlight=False)
        return
    with console.status("") as status:
        yield status.update


def addresses(console: Console, plan: Plan) -> None:
    """Print the addresses of a running mesh."""
    lines = [("gateway", f"http://{HOST}:{port}") for port in plan.gateway_ports]
    lines.append(("control plane", f"http://{HOST}:{plan.control.monitoring}/metrics"))
    for proxy in plan.proxies:
        lines.append((f"{proxy.name}: admin", f"http://{HOST}:{proxy.admin}"))
        lines.append((f"{proxy.name}: metrics", proxy.metrics_url))
    lines += [("configuration", str(plan.config)), ("logs", str(plan.logs))]
    width = max(len(name) for name, _ in lines)
    for name, where in lines:
        console.print(f"{name:<{width}}  {where}", soft_wrap=True)
    console.print(f"Other commands find this mesh after: export PYMESH_CONTROL={HOST}:{plan.control.monitoring}", soft_wrap=True)
    console.print("Press Ctrl-C to stop.")
