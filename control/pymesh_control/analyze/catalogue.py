"""All rules, by subject."""

from . import (
    destination_rules,
    envoy_filters,
    gateway_api,
    gateways,
    kubernetes,
    mesh,
    metadata,
    patches,
    proxy_configs,
    proxyless,
    security,
    service_entries,
    sidecars,
    virtual_services,
)

RULES = (
    *virtual_services.RULES,
    *destination_rules.RULES,
    *gateways.RULES,
    *gateway_api.RULES,
    *service_entries.RULES,
    *sidecars.RULES,
    *security.RULES,
    *kubernetes.RULES,
    *envoy_filters.RULES,
    *patches.RULES,
    *proxyless.RULES,
    *mesh.RULES,
    *metadata.RULES,
    *proxy_configs.RULES,
)
