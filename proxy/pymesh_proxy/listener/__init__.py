"""Listeners: sockets, what a new connection is (detect), and which filter chain it belongs to (match)."""
