"""What every algorithm answers."""

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..endpoint import Endpoint


class Source:
    """Where a request may go: a balancer, or what chooses among several of them."""

    @abstractmethod
    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint | None":
        """One endpoint, or None where there is none; `key` and `attempt` are a balancer's."""


class Balancer(Source):
    """Picks from one list of usable endpoints; made for that list and thrown away with it."""

    @abstractmethod
    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        """One endpoint; never blocks, never fails.

        `key`, 64 bits, is the hash of what requests are told apart by; None stands for a random one. `attempt` counts the draws for one
        pick whose endpoints so far were not wanted. Both mean something only where a hash decides.
        """


class Only(Balancer):
    """The only endpoint there is."""

    __slots__ = ("_endpoint",)

    def __init__(self, endpoint: "Endpoint") -> None:
        self._endpoint = endpoint

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        return self._endpoint
