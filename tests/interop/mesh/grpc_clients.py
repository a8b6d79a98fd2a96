"""Unmodified gRPC clients, without any proxy, that call what their standard input says.

Each line is a JSON object: `target`, `message`, `headers` (name to value), and `times`, how many calls to make at once. The answer is a
line with a JSON array of `[answer or name of the status, seconds]`.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc.experimental import insecure_channel_credentials

METHOD = "/mesh.Test/Who"


def call(channel: grpc.Channel, asked: dict[str, Any]) -> tuple[str, float]:
    """What one call brings, and how long it takes."""
    begun = time.monotonic()
    headers = tuple(asked["headers"].items())
    try:
        said = channel.unary_unary(METHOD)(asked["message"].encode(), timeout=20, metadata=headers).decode()
    except grpc.RpcError as error:
        said = error.code().name  # type: ignore[attr-defined]
    return said, time.monotonic() - begun


def main() -> None:
    """Until the end of the input."""
    credentials = grpc.xds_channel_credentials(insecure_channel_credentials())
    channels: dict[str, grpc.Channel] = {}
    with ThreadPoolExecutor(16) as pool:
        for line in sys.stdin:
            asked = json.loads(line)
            target = asked["target"]
            channel = channels.get(target) or channels.setdefault(target, grpc.secure_channel(target, credentials))
            calls = [pool.submit(call, channel, asked) for _ in range(asked["times"])]
            print(json.dumps([one.result() for one in calls]), flush=True)


if __name__ == "__main__":
    main()
