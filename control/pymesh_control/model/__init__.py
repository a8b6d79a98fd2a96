"""What the control plane knows, as immutable indexes: services, workloads, rules, and the proxies that look at them."""
