"""What can be seen of the proxy: metrics, access log, peers' metadata. Text is made when it is asked for, not per request."""
