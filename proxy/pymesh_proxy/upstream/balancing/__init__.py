"""How a cluster spreads requests over its endpoints: one file an algorithm, pure decisions over counters and hashes."""
