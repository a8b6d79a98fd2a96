"""Where requests go: clusters and their endpoints, balancing, connection pools, circuit breakers, name resolution."""
