"""WasmPlugin and TrafficExtension: programs that can be fetched, and where they run."""

import re
from collections.abc import Sequence

from ..models.extension import EnvValueSource, TrafficExtension, TrafficSelector, VmConfig, Wasm, WasmPlugin
from . import attachment, words
from .finding import Finding, Findings, below, repeated, verdict

_REGISTRY = re.compile(r"[^/\s\[\]]+:[0-9]{1,5}(/\S*)?")
"""An image of a registry's own port, where the name of the host looks like a scheme."""
_SHA256 = re.compile(r"([a-f0-9]{64})?")
_SCHEMES = ("", "oci", "http", "https", "file")
_LONGEST_SCRIPT = 65536
_MOST_VARIABLES = 256


def check_plugin(spec: WasmPlugin, namespace: str) -> Findings:
    """Everything wrong with one WasmPlugin."""
    yield from attachment.check(spec.selector, spec.target_refs, namespace, single=spec.target_ref)
    yield from _wasm(spec)
    yield from _selectors(spec.match)


def check_extension(spec: TrafficExtension, namespace: str) -> Findings:
    """Everything wrong with one TrafficExtension."""
    yield from attachment.check(spec.selector, spec.target_refs, namespace)
    if spec.wasm is None and spec.lua is None:
        yield Finding((), "needs wasm or lua")
    yield from below("wasm", _wasm(spec.wasm)) if spec.wasm else ()
    if spec.lua is not None and not 1 <= len(spec.lua.inline_code) <= _LONGEST_SCRIPT:
        yield Finding(("lua", "inline_code"), f"a script has 1 to {_LONGEST_SCRIPT} characters")
    yield from _selectors(spec.match)


def _wasm(wasm: Wasm) -> Findings:
    if not wasm.url:
        yield Finding(("url",), "a program is needed")
    elif words.scheme_of(wasm.url) not in _SCHEMES and not _REGISTRY.fullmatch(wasm.url):
        yield Finding(("url",), f'"{wasm.url}" is not an oci, http, https or file URL')
    if wasm.sha256 is not None and not _SHA256.fullmatch(wasm.sha256):
        yield Finding(("sha256",), "must be 64 hexadecimal digits in lower case")
    if wasm.plugin_config is not None and not isinstance(wasm.plugin_config, dict):
        yield Finding(("plugin_config",), "must be an object")
    yield from below("vm_config", _environment(wasm.vm_config)) if wasm.vm_config else ()


def _environment(config: VmConfig) -> Findings:
    if len(config.env) > _MOST_VARIABLES:
        yield Finding(("env",), f"at most {_MOST_VARIABLES} variables")
    yield from repeated("env", [variable.name for variable in config.env])
    for index, variable in enumerate(config.env):
        if not variable.name:
            yield Finding(("env", index, "name"), "a variable needs a name")
        if variable.value_from is EnvValueSource.HOST and variable.value is not None:
            yield Finding(("env", index, "value"), "is not used: the value is the host's")


def _selectors(selectors: Sequence[TrafficSelector]) -> Findings:
    for index, selector in enumerate(selectors):
        numbers = [port.number for port in selector.ports]
        for place, number in enumerate(numbers):
            path = ("match", index, "ports", place, "number")
            yield from verdict(path, words.port(number))
            yield from verdict(path, f"the port {number} is listed twice" if number in numbers[:place] else None)
