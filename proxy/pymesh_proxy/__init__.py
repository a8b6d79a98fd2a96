"""The data plane: one generic proxy driven by xDS resources, in Envoy's role.

Callbacks on the hot path, coroutines off it; what can be decided when configuration arrives is decided in `compile`.
Inbound, outbound and gateway are configuration, not code. `docs/ARCHITECTURE.md` tells the life of a request.
"""
