"""START_TIME and its kin: a strftime format with Envoy's fractions of a second, formatted once a second, not once a line."""

import re
import time
from collections.abc import Callable

DEFAULT = "%Y-%m-%dT%H:%M:%S.%3fZ"
"""Envoy's default: UTC with milliseconds."""

_FRACTION = re.compile(r"%([1-9]?)f")


def compile_time(layout: str, *, local: bool = False) -> Callable[[float], str]:
    """A formatter of seconds since the epoch. `%f` and `%1f` to `%9f` are fractions, `%s` is whole seconds, the rest is strftime's."""
    pieces = _FRACTION.split(layout)
    parts, widths = pieces[0::2], [int(width or 9) for width in pieces[1::2]]
    render = _second_renderer(parts, time.localtime if local else time.gmtime)
    if not widths:
        return lambda when: render(int(when))[0]
    if len(widths) == 1:
        return _one_fraction(render, widths[0])
    return lambda when: _many_fractions(when, render(int(when)), widths)


def _second_renderer(parts: list[str], broken_down: Callable[[float], time.struct_time]) -> Callable[[int], list[str]]:
    second, texts = -1, parts

    def render(wanted: int) -> list[str]:
        nonlocal second, texts
        if wanted != second:
            moment = broken_down(wanted)
            texts = [time.strftime(part.replace("%s", str(wanted)), moment) if part else "" for part in parts]
            second = wanted
        return texts

    return render


def _one_fraction(render: Callable[[int], list[str]], width: int) -> Callable[[float], str]:
    """The common layout, one call a line: the texts around the fraction change once a second."""
    scale = 10**width
    fractions = [f"{number:0{width}d}" for number in range(scale)] if width <= 3 else []
    second, before, after = -1, "", ""

    def text(when: float) -> str:
        nonlocal second, before, after
        whole = int(when)
        if whole != second:
            before, after = render(whole)
            second = whole
        fraction = int((when - whole) * scale)
        return before + (fractions[fraction] if fractions else f"{fraction:0{width}d}") + after

    return text


def _many_fractions(when: float, texts: list[str], widths: list[int]) -> str:
    fraction = when % 1.0
    return texts[0] + "".join(f"{int(fraction * 10**width):0{width}d}{text}" for width, text in zip(widths, texts[1:], strict=True))
