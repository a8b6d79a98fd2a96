"""EnvoyFilters applied: pure functions over the messages that are sent to proxies, which they change in place."""
