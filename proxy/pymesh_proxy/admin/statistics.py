"""/stats and /stats/prometheus."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from ..observe.prometheus import CONTENT_TYPE, Exposition, fill
from ..observe.stats import SERVER, Selection, Subject, discovery_subjects, select, subjects, to_json, to_text
from .facts import JSON, Answer, BadQuery, Command, Facts, Query, choice, flag, pattern
from .life import resident_bytes, uptime

_KINDS = ("All", "Counters", "Gauges", "Histograms", "TextReadouts")
_STATE_NUMBERS = {"LIVE": 0, "DRAINING": 1, "PRE_INITIALIZING": 2, "INITIALIZING": 3}

T = TypeVar("T")

TURN = 32
"""Subjects or series written before the loop's other work has its turn."""


def process_subjects(facts: Facts) -> Iterator[Subject]:
    """The server's own statistics, and discovery's."""
    values = (
        ("concurrency", facts.runtime.concurrency),
        ("live", int(facts.state == "LIVE")),
        ("memory_physical_size", resident_bytes()),
        ("state", _STATE_NUMBERS[facts.state]),
        ("total_connections", facts.runtime.listeners.active_connections),
        ("uptime", uptime(facts)),
    )
    yield Subject(SERVER, "", values)
    if facts.discovery is not None and facts.dynamic:
        yield from discovery_subjects(facts.discovery)


def selection_of(query: Query) -> Selection:
    """`filter` (RE2, searched), `invert_filter`, `usedonly` and `type`; raises BadQuery."""
    kind = choice(query, "type", _KINDS)
    if "histogram_buckets" in query:
        raise BadQuery("histogram_buckets is not supported: Istio's histograms are at /stats/prometheus\n")
    found = pattern(query, "filter")
    if found is None:
        return Selection(used_only=flag(query, "usedonly"), kind=kind)
    inverted = flag(query, "invert_filter")
    return Selection(matches=lambda name: bool(found.search(name)) is not inverted, used_only=flag(query, "usedonly"), kind=kind)


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a pause for everybody else now and then: a scrape of many clusters must not stop the traffic."""
    for number, item in enumerate(items, 1):
        yield item
        if number % TURN == 0:
            await asyncio.sleep(0)


async def stats(facts: Facts, query: Query) -> Answer:
    shape = choice(query, "format", ("text", "json", "prometheus"))
    if shape == "prometheus":
        return await prometheus(facts, query)
    selection = selection_of(query)
    found = [subject async for subject in in_turns(chain(subjects(facts.runtime), process_subjects(facts)))]
    chosen = select(found, selection)
    if shape == "json":
        return Answer(body=to_json(chosen), content_type=JSON)
    return Answer(body=to_text(chosen))


async def prometheus(facts: Facts, query: Query) -> Answer:
    """Istio's metrics and Envoy's statistics."""
    exposition = Exposition()
    async for _ in in_turns(fill(exposition, facts.runtime, facts.istio, process_subjects(facts), selection_of(query))):
        pass
    return Answer(body=exposition.text(), content_type=CONTENT_TYPE)


COMMANDS = (
    Command(path="/stats", help="print statistics (filter, invert_filter, usedonly, type, format=text|json|prometheus)", run=stats),
    Command(path="/stats/prometheus", help="print statistics for Prometheus (filter, usedonly)", run=prometheus),
)
