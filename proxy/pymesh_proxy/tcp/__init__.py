"""TCP: bytes both ways with backpressure and half-close, nothing looked at."""
