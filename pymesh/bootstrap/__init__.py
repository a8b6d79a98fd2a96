"""A sidecar's bootstrap made from Istio's environment variables, for our proxy and for a real Envoy alike.

`environment` reads the variables that Istio's injector sets into `Settings`; `envoy` turns those into Envoy's Bootstrap.
"""
