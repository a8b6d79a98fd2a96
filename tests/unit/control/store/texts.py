"""Small resources as text."""


def service_entry(name, host, *, namespace="default"):
    return f"""\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: {namespace}
spec:
  hosts: [{host}]
  ports:
  - {{number: 80, name: http, protocol: HTTP}}
  resolution: STATIC
"""


def hosts(contents):
    """What counts, in short: host by resource name."""
    return {resource.name: resource.spec.hosts[0] for resource in contents.resources}


BROKEN = "kind: ServiceEntry\nmetadata: {name: a"
