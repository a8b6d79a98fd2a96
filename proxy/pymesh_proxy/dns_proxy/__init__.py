"""The DNS server of a sidecar: it answers for the hosts of Istio's name table, and passes every other query on.

`table`, `query`, `answer` and `resolv_conf` decide and do no I/O; `server` and `forwarder` are the sockets around them.
"""
