"""One answer from several workers' answers: counters are added, what describes the process is taken once."""

import json
import re
from collections.abc import Iterable
from typing import Any

_SAME_IN_ALL = re.compile(
    r"(?:.*[._])?(?:membership_(?!change)\w+|max_host_weight|\w+_open|active_clusters|warming_clusters|total_listeners_\w+|connected_state"
    r"|live|state|uptime|version|concurrency|hot_restart_epoch|days_until_\w+|istio_build)$"
)
"""Gauges of which every worker has its own copy of one truth: the greatest is taken."""

_LEAST = re.compile(r"istio_agent_cert_expiry_seconds$")
"""Each worker has a certificate of its own: the one that expires first is what people must hear of."""

_STATES = ("DRAINING", "PRE_INITIALIZING", "INITIALIZING", "LIVE")
"""Worst first: a proxy is what its worst worker is."""

_HOST_COUNTERS = frozenset({
    "cx_active", "cx_connect_fail", "cx_total", "rq_active", "rq_error", "rq_pending_active", "rq_success", "rq_timeout", "rq_total",
})  # fmt: skip


def prometheus(texts: Iterable[bytes]) -> bytes:
    """Several expositions as one. Samples of the same name and labels are added; families stay together."""
    families: dict[str, dict[str, float]] = {}
    for text in texts:
        samples: dict[str, float] = {}
        for line in text.decode().split("\n"):
            if line.startswith("#"):
                samples = families.setdefault(line, {})
            elif line:
                key, _, value = line.rpartition(" ")
                _combine(samples, key, _number(value), key.partition("{")[0])
    lines: list[str] = []
    for header, samples in families.items():
        lines.append(header)
        lines.extend(f"{key} {value}" for key, value in samples.items())
    return ("\n".join(lines) + "\n").encode() if lines else b""


def stats_text(texts: Iterable[str]) -> str:
    """Several `/stats` texts as one; quoted values are those of the first worker that has them."""
    merged: dict[str, Any] = {}
    for line in _lines(texts):
        if line.endswith('"'):
            name, _, text = line.partition(': "')
            merged.setdefault(name, f'"{text}')
        else:
            name, _, number = line.rpartition(": ")
            _combine(merged, name, int(number), name)
    return "".join(f"{name}: {value}\n" for name, value in merged.items())


def stats_json(texts: Iterable[str]) -> str:
    """Several `/stats?format=json` answers as one."""
    merged: dict[str, Any] = {}
    for stat in (stat for text in texts for stat in json.loads(text)["stats"]):
        if isinstance(stat["value"], str):
            merged.setdefault(stat["name"], stat["value"])
        else:
            _combine(merged, stat["name"], stat["value"], stat["name"])
    return json.dumps({"stats": [{"name": name, "value": value} for name, value in merged.items()]})


def clusters_text(texts: Iterable[str]) -> str:
    """Several `/clusters` texts as one: hosts' counters are added, the rest is the first worker's."""
    merged: dict[str, Any] = {}
    for line in _lines(texts):
        key, _, value = line.rpartition("::")
        if key.rpartition("::")[2] in _HOST_COUNTERS:
            merged[key] = merged.get(key, 0) + int(value)
        else:
            merged.setdefault(key, value)
    return "".join(f"{key}::{value}\n" for key, value in merged.items())


def clusters_json(texts: Iterable[str]) -> str:
    """Several `/clusters?format=json` answers as one."""
    first, *rest = (json.loads(text) for text in texts)
    hosts = dict(_hosts(first))
    for key, host in (pair for answer in rest for pair in _hosts(answer)):
        if key in hosts:
            hosts[key]["stats"] = _add_host_stats(hosts[key].get("stats", []), host.get("stats", []))
    return json.dumps(first, indent=1)


def server_info(texts: Iterable[str]) -> str:
    """Several `/server_info` answers as one: the worst state, the longest life."""
    answers = [json.loads(text) for text in texts]
    merged = dict(answers[0])
    merged["state"] = min((answer["state"] for answer in answers), key=_rank)
    for name in ("uptime_current_epoch", "uptime_all_epochs"):
        merged[name] = max((answer[name] for answer in answers), key=lambda text: float(text.removesuffix("s")))
    return json.dumps(merged, indent=1)


def ready(answers: Iterable[tuple[int, str]]) -> tuple[int, str]:
    """Several `/ready` answers (status, text) as one: that of the worst worker."""
    return min(answers, key=lambda answer: _rank(answer[1].strip()))


def _lines(texts: Iterable[str]) -> Iterable[str]:
    """Lines end at LF only: a name may hold what `splitlines` takes for an end."""
    return (line for text in texts for line in text.split("\n") if line)


def _rank(state: str) -> int:
    return _STATES.index(state) if state in _STATES else -1


def _combine(into: dict[str, Any], key: str, value: float, name: str) -> None:
    if key not in into:
        into[key] = value
    elif _SAME_IN_ALL.match(name):
        into[key] = max(into[key], value)
    elif _LEAST.match(name):
        into[key] = min(into[key], value)
    else:
        into[key] += value


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _hosts(answer: Any) -> Iterable[tuple[tuple[str, str], Any]]:
    for cluster in answer.get("cluster_statuses", []):
        for host in cluster.get("host_statuses", []):
            yield (cluster["name"], json.dumps(host["address"], sort_keys=True)), host


def _add_host_stats(ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Values are decimal strings and zeros are left out, as proto3 JSON writes them."""
    totals = {stat["name"]: dict(stat) for stat in ours}
    for stat in theirs:
        known = totals.setdefault(stat["name"], {**stat, "value": "0"})
        known["value"] = str(int(known.get("value", 0)) + int(stat.get("value", 0)))
    return list(totals.values())
