"""The language between the planes: Envoy's xDS v3 messages, type URLs, resource names and node ids.

`proto` is the one place that knows which package the protobufs come from.
"""
