"""xDS protobufs into immutable runtime objects: everything that can be decided before the first request is decided here.

A resource that cannot be honoured raises ConfigError with the path of each field; nothing is ever half-applied.
"""
