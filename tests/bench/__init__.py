"""Benchmarks: our proxy beside a real Envoy, the fastest proxy in C and no proxy at all, in one run on one machine.

    python -m tests.bench [--case h1 ...] [--rounds 5] [--seconds 2] [--write]

Only ratios within a run mean anything: the candidates take turns round by round, and each figure is the median of the rounds.
CPU is utime+stime of the proxy's process tree over the requests that were answered.
"""
