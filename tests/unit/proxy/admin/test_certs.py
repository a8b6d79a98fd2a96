"""/certs: what is in use and how long it lasts."""

import dataclasses
import json
from typing import Any

from pymesh_proxy.admin.facts import Facts
from pymesh_proxy.tls.config import CertificateSource, SecretValue, UpstreamTls, ValidationSource


async def test_a_chain_is_shown_with_its_names_and_days(ask: Any, facts: Facts, issue: Any) -> None:
    chain, key = issue(30.5)
    facts.runtime.secrets.put(SecretValue(name="default", chain=chain, key=key, trusted_ca=issue(365.5)[0]))
    (entry,) = json.loads((await ask("/certs")).body)["certificates"]
    (leaf,) = entry["cert_chain"]
    assert (leaf["serial_number"], leaf["days_until_expiration"]) == ("abc", "30")
    assert leaf["subject_alt_names"] == [{"uri": "spiffe://a/ns/b/sa/c"}, {"dns": "d.example"}]
    assert entry["ca_cert"][0]["days_until_expiration"] == "365"


async def test_a_certificate_written_into_two_clusters_is_shown_once(ask: Any, facts: Facts, issue: Any) -> None:
    tls = UpstreamTls(certificates=(CertificateSource(chain=issue(2.5)[0]),))
    for name in ("one", "two"):
        static = facts.runtime.clusters.get("static")
        assert static is not None
        facts.runtime.clusters.put(dataclasses.replace(static.config, name=name, tls=tls))
    (entry,) = json.loads((await ask("/certs")).body)["certificates"]
    assert entry["cert_chain"][0]["days_until_expiration"] == "2"


async def test_what_does_not_parse_is_said_to_be_so(ask: Any, facts: Facts) -> None:
    static = facts.runtime.clusters.get("static")
    assert static is not None
    tls = UpstreamTls(validation=ValidationSource(trusted_ca=b"garbage"))
    facts.runtime.clusters.put(dataclasses.replace(static.config, name="other", tls=tls))
    (entry,) = json.loads((await ask("/certs")).body)["certificates"]
    assert entry["ca_cert"][0]["path"].startswith("<inline>: ")
