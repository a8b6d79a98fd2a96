"""Circuit breakers: how much may be in flight towards one cluster."""
