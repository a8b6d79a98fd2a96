"""Certificates: the authority (the role of Citadel) and the workload side: key, request, rotation, SDS."""
