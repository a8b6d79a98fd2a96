"""What holds for every test of the project."""

import os

# A process in which gRPC is active must not run gRPC's fork handlers: the child of a `preexec_fn` aborts in them before it can
# exec (grpc issue 43055, grpcio 1.80 and later). Some tests are gRPC clients and start processes.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
