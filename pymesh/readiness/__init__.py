"""Whether the application beside the proxy can take requests, found out as a kubelet would where there is none."""
