"""A cluster at run time: its endpoints, the counters the balancer and the breakers read, and the pools behind them."""


class Endpoint:
    """One address at run time."""


class Cluster:
    """One cluster at run time."""
