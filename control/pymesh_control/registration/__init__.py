"""Workloads that are known because their proxy's stream is open: connecting adds, disconnecting removes after a grace period."""
