"""Kubernetes manifests against KubeRay's published resource definitions, and what those cannot say."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from autoscaler_plan import CLUSTERS, REPOSITORY, launched, read
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from actors.cluster.placement import plan_layout
from actors.serving.check import check_file
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig

KUBERAY = CLUSTERS / "kuberay"
KINDS = {"RayJob": "rayClusterSpec", "RayCluster": None, "RayService": "rayClusterConfig"}
MANIFESTS = [path for path in sorted(KUBERAY.glob("*.yaml")) if read(path)["kind"] in KINDS]
PART = {"app.kubernetes.io/part-of": "ray-iqa"}


@cache
def _schema(kind: str) -> dict[str, Any]:
    """KubeRay's definition of ``kind``, closed: an unknown key is an error, as with `kubectl --validate=strict`."""
    folder = os.environ.get("KUBERAY_CRDS")
    if folder is None:
        pytest.skip("set KUBERAY_CRDS to a folder with KubeRay's resource definitions (clusters/README.md says where)")
    definition = read(Path(folder) / f"ray.io_{kind.lower()}s.yaml")
    version = next(item for item in definition["spec"]["versions"] if item["name"] == "v1")
    return _closed(version["schema"]["openAPIV3Schema"])


def _closed(node: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _validate(manifest: dict[str, Any]) -> None:
    known = {"apiVersion", "kind", "metadata"}  # the API server's own part
    schema = _schema(manifest["kind"])
    jsonschema.Draft202012Validator(schema["properties"]["spec"]).validate(manifest["spec"])
    assert set(manifest) == known | {"spec"}


def _cluster_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    key = KINDS[manifest["kind"]]
    return manifest["spec"] if key is None else manifest["spec"][key]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_passes_kuberays_definition(path: Path) -> None:
    _validate(read(path))


@pytest.mark.parametrize(
    ("path", "key"), [(("headGroupSpec", "template", "spec"), "contaners"), (("autoscalerOptions",), "idleTimeout")]
)
def test_the_definition_notices_a_typo(path: tuple[str, ...], key: str) -> None:
    manifest = read(KUBERAY / "raycluster.yaml")
    node = manifest["spec"]
    for part in path:
        node = node[part]
    node[key] = 5
    with pytest.raises(jsonschema.ValidationError, match=key):
        _validate(manifest)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_kubernetes_cluster_is_closed_and_its_head_only_controls(path: Path) -> None:
    spec = _cluster_spec(read(path))
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    assert all(group["template"]["metadata"]["labels"] == PART for group in groups)  # or the policy misses them
    for group in groups:
        named = {volume["name"] for volume in group["template"]["spec"].get("volumes", [])}
        (container,) = group["template"]["spec"]["containers"]
        assert {mount["name"] for mount in container.get("volumeMounts", [])} == named


def test_the_training_job_fits_its_cluster_spot_first() -> None:
    job = read(KUBERAY / "rayjob-train.yaml")
    name = next(word for word in job["spec"]["entrypoint"].split() if word.endswith(".yaml"))
    layout = plan_layout(load_config(TrainConfig, str(REPOSITORY / Path(name).relative_to("/opt/ray_iqa"))))
    resource = {"metadata": {"name": "job", "namespace": "default"}, "spec": _cluster_spec(job)}
    cluster = _derive_autoscaling_config_from_ray_cr(resource)
    cluster["provider"]["type"] = "kuberay"
    assert launched(cluster, layout.bundles)["h100-spot"] == 2
    assert launched(cluster, layout.bundles, ["h100-spot"])["h100-on-demand"] == 2


def test_the_service_passes_our_own_check(tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text(read(KUBERAY / "rayservice.yaml")["spec"]["serveConfigV2"])
    assert check_file(tmp_path / "serve.yaml") == []


def _admitted(pod: dict[str, str], namespace: dict[str, str] | None) -> set[int] | None:
    """Ports of the cluster that a pod may reach, None for all; ``namespace``: labels of another one than the cluster's.

    Only what the policy uses: `matchLabels` of pods and namespaces, and ports by number.
    """
    ports: set[int] = set()
    for rule in read(KUBERAY / "networkpolicy.yaml")["spec"]["ingress"]:
        for peer in rule["from"]:  # a rule without `from` would admit the world
            assert set(peer) <= {"podSelector", "namespaceSelector"}
            anywhere = "namespaceSelector" in peer
            wanted = peer.get("namespaceSelector", {}).get("matchLabels", {})
            here = wanted.items() <= (namespace or {}).items() if anywhere else namespace is None
            if here and peer.get("podSelector", {}).get("matchLabels", {}).items() <= pod.items():
                if "ports" not in rule:
                    return None
                ports |= {port["port"] for port in rule["ports"]}
    return ports


def test_the_network_policy_selects_all_pods_of_our_clusters_for_ingress() -> None:
    policy = read(KUBERAY / "networkpolicy.yaml")
    assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    assert policy["spec"]["podSelector"] == {"matchLabels": PART}
    assert policy["spec"]["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize("namespace", [None, {"kubernetes.io/metadata.name": "other"}])
def test_the_network_policy_lets_nobody_else_in(namespace: dict[str, str] | None) -> None:
    assert _admitted({"app.kubernetes.io/name": "anything"}, namespace) == set()
    assert _admitted(PART, namespace) == (None if namespace is None else set())
    assert _admitted({"app.kubernetes.io/name": "kuberay-operator"}, namespace) == {8000, 8265}
    assert _admitted({"app.kubernetes.io/name": "prometheus"}, namespace) == {8090}
    assert _admitted({}, (namespace or {}) | {"ray-iqa/client": "true"}) == {8000}


def test_the_network_policy_admits_the_submitter_of_a_training_job() -> None:
    submitter = read(KUBERAY / "rayjob-train.yaml")["spec"]["submitterPodTemplate"]
    assert _admitted(submitter["metadata"]["labels"], None) is None
    (container,) = submitter["spec"]["containers"]
    assert "command" not in container  # KubeRay's own, with the token, the id and the log
