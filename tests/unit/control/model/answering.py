"""What answers for a service in a snapshot."""


def answering(snapshot, host, namespace="shop", port=80):
    """The endpoints of a service's port, as the namespace sees it."""
    return snapshot.instances(snapshot.service(host, namespace))[port]
