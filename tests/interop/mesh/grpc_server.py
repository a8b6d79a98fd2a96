"""An unmodified gRPC server, without any proxy, whose ports are as the control plane says: `python grpc_server.py PORT...`.

It answers with the identity of who calls, or with `nobody`. Ends with its standard input.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

METHOD = "/mesh.Test/Who"


def who(_: bytes, context: grpc.ServicerContext) -> bytes:
    return b" ".join(context.peer_identities() or [b"nobody"])


def main(ports: list[str]) -> None:
    """Until the end of the input."""
    _, group, method = METHOD.split("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(who)}
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, xds=True)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(group, handlers),))
        for port in ports:
            server.add_secure_port(f"127.0.0.1:{port}", grpc.xds_server_credentials(grpc.insecure_server_credentials()))
        server.start()
        sys.stdin.read()
        server.stop(None)


if __name__ == "__main__":
    main(sys.argv[1:])
