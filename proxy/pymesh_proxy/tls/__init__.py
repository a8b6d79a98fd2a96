"""TLS over `ssl.MemoryBIO`: contexts from configuration and SDS secrets, the layer between bytes and a connection, peers."""
