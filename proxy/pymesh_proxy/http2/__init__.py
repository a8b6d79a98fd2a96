"""HTTP/2 in memory (RFC 9113, RFC 7541): what a client's and an upstream's connection share. No sockets, no tasks."""
