"""`pymesh-agent`: what Istio's pilot-agent does for Envoy: identity, secrets over SDS, bootstrap, start and drain."""
