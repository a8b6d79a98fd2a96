"""The Gateway API (gateway.networking.k8s.io), experimental channel. Absent fields have the defaults that its schemas give them."""
