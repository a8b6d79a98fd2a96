import pytest

from pymesh import identity


def test_an_istio_identity_tells_namespace_and_service_account():
    spiffe = identity.workload_id("ml", "model-serving")
    assert str(spiffe) == "spiffe://cluster.local/ns/ml/sa/model-serving"
    assert (spiffe.namespace, spiffe.service_account) == ("ml", "model-serving")


@pytest.mark.parametrize(
    "text",
    [
        "https://cluster.local/ns/a/sa/b",
        "spiffe:///ns/a/sa/b",
        "spiffe://CLUSTER.local/ns/a/sa/b",
        "spiffe://cluster.local:80/ns/a/sa/b",
        "spiffe://cluster.local/ns/a/../sa/b",
        "spiffe://cluster.local/ns//sa/b",
        "spiffe://cluster.local/ns/a/sa/b?x=1",
        "spiffe://cluster.local/ns/a/sa/b/",
        "spiffe://cluster.local/" + "a" * 2048,
    ],
)
def test_what_the_spiffe_specification_forbids_is_refused(text):
    with pytest.raises(identity.InvalidSpiffeId):
        identity.parse(text)


@pytest.mark.parametrize("parts", [("ml", "a/b"), ("ml/sa/x", "a"), ("ml", "a", "cluster.local/ns/other/sa/b"), ("", "a"), ("ml", "..")])
def test_parts_that_are_not_one_segment_each_make_no_identity(parts):
    with pytest.raises(identity.InvalidSpiffeId):
        identity.workload_id(*parts)
