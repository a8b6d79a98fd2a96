"""A bootstrap with dynamic forward proxies: what is the same for a real Envoy and for our proxy."""

_E = "type.googleapis.com/envoy.extensions"
_LINE = (
    "%REQ(X-CASE)% %REQ(:AUTHORITY)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%"
)
_TCP_LINE = "%REQUESTED_SERVER_NAME% %RESPONSE_FLAGS% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%"


def cache(name: str, more: str = "") -> str:
    """A DnsCacheConfig, in one line, that asks the test's DNS server at `$DNS`."""
    server = "{socket_address: {address: 127.0.0.1, port_value: $DNS}}"
    cares = f"{_E}.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    resolver = f'"@type": {cares}, resolvers: [{server}], dns_resolver_options: {{no_default_search_domain: true}}'
    return f"{{name: {name}, dns_lookup_family: V4_ONLY, {more} typed_dns_resolver_config: {{name: c, typed_config: {{{resolver}}}}}}}"


def _log(line: str) -> str:
    return f"""
          access_log:
          - name: f
            typed_config:
              "@type": {_E}.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format: {{text_format_source: {{inline_string: "{line}\\n"}}}}"""


def _listener(name: str, filters: str, more: str = "") -> str:
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name}}}}}{more}
    filter_chains:
    - filters:{filters}"""


def http(name: str, looks_up: str, *routes: str) -> str:
    """A listener `$NAME` for requests; `looks_up` is the cache of its filter, empty for a manager without the filter."""
    config = f'{{"@type": {_E}.filters.http.dynamic_forward_proxy.v3.FilterConfig, dns_cache_config: {looks_up}}}'
    proxy = f"\n          - {{name: dfp, typed_config: {config}}}" if looks_up else ""
    listed = "".join(f"\n              - {route}" for route in routes)
    manager = f"""
      - name: h
        typed_config:
          "@type": {_E}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}{_log(_LINE)}
          http_filters:{proxy}
          - {{name: r, typed_config: {{"@type": {_E}.filters.http.router.v3.Router}}}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:{listed}"""
    return _listener(name, manager)


def to(cluster: str, path: str = "", action: str = "", override: str = "") -> str:
    """A route; one without a path takes the rest."""
    match = f"path: /{path}" if path else "prefix: /"
    config = f'{{"@type": {_E}.filters.http.dynamic_forward_proxy.v3.PerRouteConfig, {override}}}'
    own = f", typed_per_filter_config: {{dfp: {config}}}" if override else ""
    return f"{{match: {{{match}}}, route: {{cluster: {cluster}{action}}}{own}}}"


def sni(name: str, cluster: str, looks_up: str = "", port: str = "") -> str:
    """A listener `$NAME` for connections by server name."""
    inspector = f'{{name: a, typed_config: {{"@type": {_E}.filters.listener.tls_inspector.v3.TlsInspector}}}}'
    lookup = f"""
      - name: s
        typed_config:
          "@type": {_E}.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig
          port_value: {port}
          dns_cache_config: {looks_up}"""
    proxy = f"""
      - name: t
        typed_config:
          "@type": {_E}.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: {name}
          cluster: {cluster}{_log(f"{name} {_TCP_LINE}")}"""
    return _listener(name, (lookup if looks_up else "") + proxy, f"\n    listener_filters: [{inspector}]")


def dynamic(name: str, looks_up: str, more: str = "", own: str = "") -> str:
    """A dynamic forward proxy's cluster; `own` are further fields of its ClusterConfig."""
    return f"""
  - name: {name}
    lb_policy: CLUSTER_PROVIDED
    connect_timeout: 5s
    cluster_type:
      name: envoy.clusters.dynamic_forward_proxy
      typed_config: {{"@type": {_E}.clusters.dynamic_forward_proxy.v3.ClusterConfig, {own} dns_cache_config: {looks_up}}}{more}"""


def tls(trusting: bool, more: str = "", names: str = "auto_sni: true, auto_san_validation: true") -> str:
    """What a cluster has that speaks TLS, with HTTP options of the newer kind."""
    trust = "common_tls_context: {validation_context: {trusted_ca: {filename: $FOLDER/root.pem}}}" if trusting else ""
    return f"""
    transport_socket: {{name: t, typed_config: {{"@type": {_E}.transport_sockets.tls.v3.UpstreamTlsContext, {more} {trust}}}}}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {_E}.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http_protocol_options: {{}}}}
        upstream_http_protocol_options: {{{names}}}"""


def older_tls() -> str:
    """TLS of a cluster that says nothing of HTTP: then names are looked at, too."""
    trust = "common_tls_context: {validation_context: {trusted_ca: {filename: $FOLDER/root.pem}}}"
    return f"""
    transport_socket: {{name: t, typed_config: {{"@type": {_E}.transport_sockets.tls.v3.UpstreamTlsContext, {trust}}}}}"""
