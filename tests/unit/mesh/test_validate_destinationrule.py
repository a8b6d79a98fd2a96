"""Rules of a DestinationRule beyond its schema."""

# ruff: noqa: E501  (tables of one case a line)

import pytest


def policy(text):
    return f"host: a\ntrafficPolicy: {{{text}}}"


@pytest.mark.parametrize(
    "spec",
    [
        "host: '*.example.com'",
        "host: a\nsubsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]",
        policy("connectionPool: {tcp: {maxConnections: 1, idleTimeout: 0s, connectTimeout: 1s}, http: {http1MaxPendingRequests: 1}}"),
        policy("outlierDetection: {consecutive5xxErrors: 0, interval: 1s, baseEjectionTime: 30s, maxEjectionPercent: 100}"),
        policy("loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}, ringHash: {minimumRingSize: 5}}}"),
        policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}"),
        policy("loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 10, aggression: 1}}"),
        policy("loadBalancer: {localityLbSetting: {distribute: [{from: us/west/*, to: {'us/west/*': 80, 'us/east/*': 20}}]}}"),
        policy("outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: us, to: eu}], failoverPriority: [zone=a]}}"),
        policy("tls: {mode: MUTUAL, credentialName: c}"),
        policy("tls: {mode: MUTUAL, credentialName: c, insecureSkipVerify: true}"),
        policy("tls: {mode: SIMPLE, credentialName: 'configmap://ml/roots'}"),
        policy("tls: {mode: SIMPLE, credentialName: 'configmap://roots'}"),
        policy("tls: {mode: ISTIO_MUTUAL, insecureSkipVerify: true, subjectAltNames: [a]}"),
        policy("outlierDetection: {consecutiveErrors: 0}"),
        policy("loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 0, ringHash: {}}}"),
        policy("loadBalancer: {localityLbSetting: {distribute: [{from: us/west/a, to: {us: 100}}, {from: us/west/*, to: {us: 100}}, {from: us/*, to: {us: 100}}, {from: '*', to: {eu: 100}}]}}"),
        policy("outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: us, to: eu}], failoverPriority: [topology.kubernetes.io/region=us]}}"),
        policy("tls: {mode: ISTIO_MUTUAL}"),
        policy("portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]"),
        policy("loadBalancer: {localityLbSetting: {distribute: [{from: 'us*', to: {us: 100}}]}}"),
        policy("tunnel: {targetHost: b.c, targetPort: 443}"),
        policy("retryBudget: {percent: 20, budgetInterval: 0s}"),
        "host: a\nworkloadSelector: {matchLabels: {app: b}}\nexportTo: ['.']",
    ],
)
def test_a_good_destination_rule_has_no_problems(told, spec):
    assert told("DestinationRule", spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("host: 'a.*'", 'error host: "a.*" is not a host name: the label "*" is malformed'),
        (policy(""), "error trafficPolicy: a traffic policy must have at least one field"),
        ("host: a\nsubsets: [{name: v1}, {name: v1}]", 'error subsets[1].name: the subset "v1" is defined twice'),
        ("host: a\nsubsets: [{name: v_1}]", 'error subsets[0].name: "v_1" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        ("host: a\nsubsets: [{name: v1, labels: {version: 'a b'}}]", 'error subsets[0].labels.version: "a b" is not a valid label value'),
        ("host: a\nsubsets: [{name: v1, trafficPolicy: {connectionPool: {}}}]", "error subsets[0].trafficPolicy.connectionPool: needs tcp or http"),
        (policy("connectionPool: {tcp: {maxConnections: -1}}"), "error trafficPolicy.connectionPool.tcp.maxConnections: maxConnections -1 is negative"),
        (policy("connectionPool: {http: {maxRetries: -1}}"), "error trafficPolicy.connectionPool.http.maxRetries: maxRetries -1 is negative"),
        (policy("connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}"), "error trafficPolicy.connectionPool.http.useClientProtocol: cannot be set with h2UpgradePolicy UPGRADE"),
        (policy("connectionPool: {http: {http2KeepAlive: {interval: 1s}}}"), 'error trafficPolicy.connectionPool.http.http2KeepAlive: needs "timeout"'),
        (policy("connectionPool: {http: {idleTimeout: 0s}}"), 'error trafficPolicy.connectionPool.http.idleTimeout: the duration "0s" must be at least 1ms'),
        (policy("outlierDetection: {consecutiveErrors: 5}"), "warning trafficPolicy.outlierDetection.consecutiveErrors: deprecated; use consecutive5xxErrors or consecutiveGatewayErrors"),
        (policy("outlierDetection: {consecutiveLocalOriginFailures: 5}"), "error trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: needs splitExternalLocalOriginErrors"),
        (policy("portLevelSettings: []"), "error trafficPolicy: a traffic policy must have at least one field"),
        (policy("loadBalancer: {localityLbSetting: {failoverPriority: [zone]}}"), "warning trafficPolicy.loadBalancer.localityLbSetting.failoverPriority: has no effect without outlierDetection, which tells when to fail over"),
        (policy("loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {eu: 100}}, {from: us, to: {eu: 100}}]}}"), 'error trafficPolicy.loadBalancer.localityLbSetting.distribute[1].from: the locality "us" overlaps with an earlier one'),
        (policy("loadBalancer: {localityLbSetting: {distribute: [{from: us/west, to: {eu: 100}}, {from: us, to: {eu: 100}}]}}"), 'error trafficPolicy.loadBalancer.localityLbSetting.distribute[1].from: the locality "us" overlaps with an earlier one'),
        (policy("loadBalancer: {localityLbSetting: {distribute: [{from: us, to: {us/west: 50, 'us/*': 50}}]}}"), 'error trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to["us/*"]: the locality "us/*" overlaps with an earlier one'),
        (policy("loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}"), "error trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority[0]: region, zone and sub-zone are looked at anyway"),
        (policy("tls: {mode: SIMPLE, insecureSkipVerify: true, credentialName: c}"), "error trafficPolicy.tls.credentialName: has no meaning with insecureSkipVerify"),
        (policy("tls: {mode: SIMPLE, credentialName: 'configmap://b/roots'}"), 'error trafficPolicy.tls.credentialName: "configmap://b/roots" is of another namespace than the rule'),
        (policy("tls: {mode: SIMPLE, credentialName: 'configmap://'}"), 'error trafficPolicy.tls.credentialName: "configmap://" must be configmap://NAME'),
        (policy("portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, credentialName: 'configmap://b/roots'}}]"), 'error trafficPolicy.portLevelSettings[0].tls.credentialName: "configmap://b/roots" is of another namespace than the rule'),
        (policy("tunnel: {targetHost: b, targetPort: 1, protocol: connect}"), 'error trafficPolicy.tunnel.protocol: "connect" must be CONNECT or POST'),
        ("host: a\nworkloadSelector: {}", "warning workloadSelector: a selector without labels selects every workload of the namespace"),
        (policy("outlierDetection: {minHealthPercent: 101}"), "error trafficPolicy.outlierDetection.minHealthPercent: the percentage 101 must be between 0 and 100"),
        (policy("outlierDetection: {outlierDetectionHttpErrorCodes: [500, 600]}"), "error trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes[1]: the status 600 is not between 100 and 599"),
        (policy("loadBalancer: {consistentHash: {httpHeaderName: a, useSourceIp: true}}"), 'error trafficPolicy.loadBalancer.consistentHash.useSourceIp: "httpHeaderName" and "useSourceIp" cannot be set together'),
        (policy("loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}"), 'error trafficPolicy.loadBalancer.consistentHash: "simple" and "consistentHash" cannot be set together'),
        (policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 4}}}"), "error trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: the table size 4 must be a prime below 5000011"),
        (policy("loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 4, maglev: {}}}"), "error trafficPolicy.loadBalancer.consistentHash.minimumRingSize: cannot be set with ringHash or maglev"),
        (policy("loadBalancer: {consistentHash: {httpCookie: {name: ''}}}"), "error trafficPolicy.loadBalancer.consistentHash.httpCookie.name: a cookie must have a name"),
        (policy("loadBalancer: {consistentHash: {httpCookie: {name: c, attributes: [{name: Secure}, {name: Secure}]}}}"), 'error trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[1].name: the attribute "Secure" is set twice'),
        (policy("loadBalancer: {simple: LEAST_CONN}"), "warning trafficPolicy.loadBalancer.simple: LEAST_CONN is deprecated; use LEAST_REQUEST"),
        (policy("loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 30s}"), "warning trafficPolicy.loadBalancer.warmupDurationSecs: deprecated; use warmup.duration"),
        (policy("loadBalancer: {warmup: {}}"), 'error trafficPolicy.loadBalancer.warmup: the required field "duration" is missing'),
        (policy("loadBalancer: {warmup: {duration: 1s, minimumPercent: 101}}"), "error trafficPolicy.loadBalancer.warmup.minimumPercent: the percentage 101 must be between 0 and 100"),
        (policy("loadBalancer: {warmup: {duration: 1s, aggression: 0}}"), "error trafficPolicy.loadBalancer.warmup.aggression: must be over 0"),
        (policy("loadBalancer: {localityLbSetting: {enabled: true}, zoneAwareLbSetting: {enabled: true}}"), 'error trafficPolicy.loadBalancer.zoneAwareLbSetting: "localityLbSetting" and "zoneAwareLbSetting" cannot be set together'),
        (policy("loadBalancer: {localityLbSetting: {distribute: [{from: us, to: {us: 80, eu: 30}}]}}"), "error trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to: the weights must sum up to 100, found 110"),
        (policy("loadBalancer: {localityLbSetting: {distribute: [{from: us/*, to: {eu: 100}}, {from: us/west, to: {eu: 100}}]}}"), 'error trafficPolicy.loadBalancer.localityLbSetting.distribute[1].from: the locality "us/west" overlaps with an earlier one'),
        (policy("loadBalancer: {localityLbSetting: {distribute: [{from: '*/west', to: {eu: 100}}]}}"), 'error trafficPolicy.loadBalancer.localityLbSetting.distribute[0].from: in the locality "*/west" only the last part can be "*"'),
        (policy("loadBalancer: {localityLbSetting: {failover: [{from: us, to: us}]}}"), "error trafficPolicy.loadBalancer.localityLbSetting.failover[0]: a region cannot fail over to itself"),
        (policy("loadBalancer: {localityLbSetting: {failover: [{from: us, to: eu}]}}"), "warning trafficPolicy.loadBalancer.localityLbSetting.failover: has no effect without outlierDetection, which tells when to fail over"),
        (policy("loadBalancer: {localityLbSetting: {failover: [{from: us/west, to: eu}]}}"), 'error trafficPolicy.loadBalancer.localityLbSetting.failover[0].from: failover is between regions, "us/west" is not one'),
        (policy("loadBalancer: {localityLbSetting: {failover: [{from: us, to: eu}], failoverPriority: [topology.kubernetes.io/zone]}}"), "error trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[0]: region, zone and sub-zone cannot be priorities beside failover"),
        (policy("tls: {mode: MUTUAL, privateKey: /k}"), 'error trafficPolicy.tls: mode MUTUAL needs "clientCertificate" (or credentialName)'),
        (policy("tls: {mode: SIMPLE, credentialName: c, caCertificates: /c}"), "error trafficPolicy.tls.caCertificates: comes with the credential of credentialName, so it cannot be set beside it"),
        (policy("tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}"), "error trafficPolicy.tls.subjectAltNames: has no meaning with insecureSkipVerify"),
        (policy("portLevelSettings: [{tls: {mode: DISABLE}}]"), 'error trafficPolicy.portLevelSettings[0]: a port-level policy needs "port"'),
        (policy("portLevelSettings: [{port: {number: 70000}, tls: {mode: DISABLE}}]"), "warning trafficPolicy.portLevelSettings[0].port.number: the port 70000 is not between 1 and 65535"),
        (policy("portLevelSettings: [{port: {number: 80}}]"), "error trafficPolicy.portLevelSettings[0]: a port-level policy must have at least one field beside the port"),
        (policy("tunnel: {targetHost: b, targetPort: 0}"), "error trafficPolicy.tunnel.targetPort: the port 0 is not between 1 and 65535"),
        (policy("tunnel: {targetHost: b, targetPort: 1, protocol: GET}"), 'error trafficPolicy.tunnel.protocol: "GET" must be CONNECT or POST'),
        (policy("tunnel: {targetHost: b, targetPort: 1}, proxyProtocol: {version: V2}"), 'error trafficPolicy.proxyProtocol: "tunnel" and "proxyProtocol" cannot be set together'),
        (policy("retryBudget: {percent: 101}"), "error trafficPolicy.retryBudget.percent: the percentage 101 must be between 0 and 100"),
        ("host: a\nworkloadSelector: {matchLabels: {app: b}}\nexportTo: ['*']", "error exportTo: a rule with a workloadSelector holds in its own namespace only"),
        ("host: a\nworkloadSelector: {matchLabels: {'a*': b}}", 'error workloadSelector.matchLabels["a*"]: wildcards are not supported in a selector'),
    ],
)
def test_a_broken_rule_is_told_at_its_field(told, spec, expected):
    assert expected in told("DestinationRule", spec)
