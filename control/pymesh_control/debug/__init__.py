"""What the control plane answers when it is asked about itself: pure functions from what it holds to plain values.

`clients` and `dump` speak of connected proxies, `registry` of services and workloads, `sight` of what one proxy sees, `configuration`
of the files. `pages` names them by their paths, which are Istio's where Istio has such a page.
"""
