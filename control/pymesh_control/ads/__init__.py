"""The aggregated discovery service: what each client asked for, holds and refused, and the gRPC streams that carry it.

`subscription` and the two sessions decide and do no I/O; `stream`, `servicer` and `front` are the shell around them.
"""
