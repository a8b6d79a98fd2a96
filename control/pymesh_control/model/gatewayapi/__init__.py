"""The Gateway API, turned into the gateways and routes that Istio's own resources become."""
