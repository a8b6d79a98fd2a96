"""Routing decisions: virtual hosts, matchers, weighted choice, rewrites, retry policy. Pure: no I/O, no clock of its own."""
