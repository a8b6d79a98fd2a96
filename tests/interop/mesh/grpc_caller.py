"""An unmodified gRPC client that is told nothing but a name: `python grpc_caller.py xds:///host:port`.

It calls once for each line of its standard input and answers with what the server said, or with the status.
"""

import sys

import grpc

METHOD = "/mesh.Test/Who"


def main(target: str) -> None:
    """Until the end of the input."""
    with grpc.insecure_channel(target) as channel:
        who = channel.unary_unary(METHOD)
        for line in sys.stdin:
            try:
                print(who(line.encode(), timeout=20, wait_for_ready=True).decode(), flush=True)
            except grpc.RpcError as error:
                print(error.code().name, error.details(), flush=True)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1])
