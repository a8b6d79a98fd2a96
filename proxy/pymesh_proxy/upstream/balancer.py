"""Choosing one endpoint of a cluster: one small class an algorithm, pure decisions over counters."""
