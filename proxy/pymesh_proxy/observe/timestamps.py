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
        return OneFraction(render, widths[0]).text
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


class OneFraction:
    """The common layout, one call a line: the texts around the fraction change once a second."""

    __slots__ = ("_after", "_before", "_fractions", "_render", "_scale", "_second", "_width")

    def __init__(self, render: Callable[[int], list[str]], width: int) -> None:
        self._render = render
        self._width = width
        self._scale = float(10**width)
        self._fractions = [f"{number:0{width}d}" for number in range(10**width)] if width <= 3 else []
        self._second = -1
        self._before = self._after = ""

    def text(self, when: float) -> str:
        """The time in words."""
        whole = int(when)
        if whole != self._second:
            self._before, self._after = self._render(whole)
            self._second = whole
        fraction = int((when - whole) * self._scale)
        digits = self._fractions[fraction] if self._fractions else f"{fraction:0{self._width}d}"
        return f"{self._before}{digits}{self._after}"


def default_time() -> OneFraction:
    """The formatter of DEFAULT, as an object: compiled callers reach it without the detour of a call by value."""
    before, after = _FRACTION.split(DEFAULT)[0::2]
    return OneFraction(_second_renderer([before, after], time.gmtime), 3)


def _many_fractions(when: float, texts: list[str], widths: list[int]) -> str:
    fraction = when % 1.0
    return texts[0] + "".join(f"{int(fraction * 10**width):0{width}d}{text}" for width, text in zip(widths, texts[1:], strict=True))
