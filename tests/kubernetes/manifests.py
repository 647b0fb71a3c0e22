"""Checks the manifests in examples/kubernetes, as kustomize renders them, against Kubernetes' own schemas and against each other.

    manifests.py                 the checks
    manifests.py --runner FILE   instead writes podman's arguments for the first runner, one per line, as the operator for k6 starts it

No package has the operator's schema. So this script makes the pods that the operator would make of a TestRun, and checks those by Kubernetes' schemas.
"""

import json
import pathlib
import re
import subprocess
import sys

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
VERSION = "1.34"

# The fields of a TestRun that the operator's API v1alpha1 has, as far as an example may use them.
SPEC = {"arguments", "args", "cleanup", "initializer", "parallelism", "ports", "quiet", "paused", "runner", "script", "separate", "starter"}
# The fields of its pods, and the fields of Kubernetes' own that the operator copies them to.
POD = {"automountServiceAccountToken", "affinity", "nodeSelector", "priorityClassName", "securityContext", "tolerations", "volumes"}
CONTAINER = {"env", "envFrom", "image", "imagePullPolicy", "livenessProbe", "readinessProbe", "resources", "volumeMounts"}


def render(folder):
    """Returns the objects of a folder."""
    output = subprocess.run(["kustomize", "build", folder], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(output))


def command(test_run, index):
    """Returns the command line with which the operator starts a runner, counted from 1."""
    spec, total = test_run["spec"], test_run["spec"]["parallelism"]
    ends = ["0", *(f"{end}/{total}" for end in range(1, total)), "1"]
    segment = [f"--execution-segment={ends[index - 1]}:{ends[index]}", f"--execution-segment-sequence={','.join(ends)}"]
    script = f"/test/{spec['script']['configMap']['file']}"
    tags = ["--tag", f"instance_id={index}", "--tag", f"testrun_name={test_run['metadata']['name']}"]
    return ["k6", "run", "--quiet", *segment, *spec.get("args", []), script, "--address=0.0.0.0:6565", "--paused", *tags]


def job(test_run, role, argv):
    """Returns the job that the operator makes for a part of a TestRun."""
    fields = dict(test_run["spec"][role])
    container = {"name": "k6", "image": "operator", "command": argv, "securityContext": fields.pop("containerSecurityContext", {})}
    container.update({name: fields.pop(name) for name in CONTAINER & fields.keys()})
    pod = {"restartPolicy": "Never", "containers": [container]}
    pod.update({name: fields.pop(name) for name in POD & fields.keys()})
    assert not fields, f"fields of {role} that the operator does not have: {sorted(fields)}"
    if "automountServiceAccountToken" in pod:
        # The operator parses a text.
        assert pod["automountServiceAccountToken"] in ("true", "false"), pod["automountServiceAccountToken"]
        pod["automountServiceAccountToken"] = pod["automountServiceAccountToken"] == "true"
    if role == "runner":
        script = test_run["spec"]["script"]["configMap"]["name"]
        pod["volumes"] = [{"name": "k6-test-volume", "configMap": {"name": script}}, *pod.get("volumes", [])]
        mount = {"name": "k6-test-volume", "mountPath": "/test", "readOnly": True}
        container["volumeMounts"] = [mount, *container.get("volumeMounts", [])]
    metadata = {"name": f"{test_run['metadata']['name']}-{role}", "namespace": test_run["metadata"]["namespace"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}


def check_rights(name, pod):
    """Checks that a pod does with the rights of Kubernetes' profile `restricted`, and writes to its volumes alone."""
    assert pod["securityContext"]["runAsNonRoot"] is True, name
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for volume in pod.get("volumes", []):
        assert volume.keys() <= {"name", "configMap", "emptyDir"}, (name, volume)
    for container in pod["containers"]:
        expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == expected, name


def check_volumes(name, pod, config_maps, claims):
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes or mount["name"] in claims, (name, mount)
    for volume in volumes.values():
        if "configMap" in volume:
            assert volume["configMap"]["name"] in config_maps, (name, volume)


def check_collectors(objects, config_maps):
    """Checks that agents, gateways and services find each other."""
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    namespace = by_name["Namespace", "navtrace"]["metadata"]["name"]
    pods = {kind: by_name[kind, name]["spec"] for kind, name in [("DaemonSet", "agent"), ("StatefulSet", "gateway")]}
    config = next(data for name, data in config_maps.items() if name.startswith("collector-"))
    version = re.search(r"^  version: (\S+)$", (ROOT / "install/otelcol.yaml").read_text(), re.MULTILINE).group(1)
    for kind, name in [("DaemonSet", "agent"), ("StatefulSet", "gateway")]:
        spec, service = pods[kind], by_name["Service", name]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels == service["spec"]["selector"], name
        [container] = spec["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, name
        # The files that the tests run with a real Collector, of the version that they run.
        assert container["image"].endswith(f":{version}"), (container["image"], version)
        assert config[f"{name}.yaml"] == (EXAMPLES / f"collector/{name}.yaml").read_text(), name
        assert container["args"] == [f"--config=/etc/collector/{name}.yaml"], name
        variables = {variable["name"] for variable in container["env"]}
        required = set(re.findall(r"\$\{env:(\w+)\}", re.sub(r"^\s*#.*$", "", config[f"{name}.yaml"], flags=re.MULTILINE)))
        assert required <= variables, (name, required - variables)
    gateway = pods["StatefulSet"]
    assert gateway["serviceName"] == "gateway" and by_name["Service", "gateway"]["spec"]["clusterIP"] == "None"
    agent = {item["name"]: item["value"] for item in pods["DaemonSet"]["template"]["spec"]["containers"][0]["env"]}
    names = [f"gateway-{number}.gateway.{namespace}.svc:4317" for number in range(gateway["replicas"])]
    assert json.loads(agent["GATEWAYS"]) == names, agent["GATEWAYS"]
    return f"http://agent.{namespace}.svc:4318"


def check():
    collectors, test = render(EXAMPLES / "kubernetes"), render(EXAMPLES / "kubernetes/test")
    [test_run] = [item for item in test if item["kind"] == "TestRun"]
    assert test_run["apiVersion"] == "k6.io/v1alpha1" and test_run.keys() == {"apiVersion", "kind", "metadata", "spec"}
    spec = test_run["spec"]
    assert spec.keys() <= SPEC, f"fields that a TestRun does not have: {sorted(spec.keys() - SPEC)}"
    assert spec["parallelism"] == 4 and spec["script"].keys() == {"configMap"} and spec["script"]["configMap"].keys() == {"name", "file"}
    jobs = [job(test_run, "runner", command(test_run, 1)), job(test_run, "starter", ["sh"])]

    objects = [item for item in collectors + test if item is not test_run] + jobs
    for item in objects:
        kubernetes_validate.validate(item, VERSION, strict=True)
    config_maps = {item["metadata"]["name"]: item["data"] for item in objects if item["kind"] == "ConfigMap"}
    for item in objects:
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] != "Namespace":
            assert item["metadata"]["namespace"] == "navtrace", name
        if "template" in item.get("spec", {}):
            pod = item["spec"]["template"]["spec"]
            check_rights(name, pod)
            claims = {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
            check_volumes(name, pod, config_maps, claims)
    # Changed together with its content, so that a run never has the script of an earlier one.
    script = spec["script"]["configMap"]
    assert re.fullmatch("script-[a-z0-9]+", script["name"]), script["name"]
    assert config_maps[script["name"]][script["file"]] == (EXAMPLES / "kubernetes/test/script.js").read_text()
    image = spec["runner"]["image"]
    package = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    assert image.endswith(f"/navtrace:{package}"), (image, package)
    assert image in (EXAMPLES / "kubernetes/README.md").read_text(), image
    endpoint = check_collectors(collectors, config_maps)
    values = {item["name"]: item.get("value") for item in spec["runner"]["env"]}
    assert values["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint, endpoint
    print(f"{len(objects)} objects passed, 0 failed")


def runner():
    """Returns podman's arguments for the first runner: what the operator and the kubelet would do with the TestRun."""
    [test_run] = [item for item in render(EXAMPLES / "kubernetes/test") if item["kind"] == "TestRun"]
    argv = command(test_run, 1)
    pod = job(test_run, "runner", argv)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    downward = {
        "metadata.name": "visitors-1-x2x4x",
        "spec.nodeName": "node-1",
        "metadata.namespace": test_run["metadata"]["namespace"],
        "metadata.labels['k6_cr']": test_run["metadata"]["name"],
    }
    variables, arguments = {}, []
    for item in container["env"]:
        value = item["value"] if "value" in item else downward[item["valueFrom"]["fieldRef"]["fieldPath"]]
        variables[item["name"]] = re.sub(r"\$\((\w+)\)", lambda match: variables[match.group(1)], value)
        arguments += ["--env", f"{item['name']}={variables[item['name']]}"]
    user, rights = pod["securityContext"], container["securityContext"]
    arguments += ["--user", f"{user['runAsUser']}:{user['runAsGroup']}"]
    arguments += [f"--cap-drop={name}" for name in rights["capabilities"]["drop"]]
    arguments += ["--read-only", "--read-only-tmpfs=false"] if rights["readOnlyRootFilesystem"] else []
    arguments += [] if rights["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]
    sources = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        if "emptyDir" in sources[mount["name"]]:
            arguments += ["--tmpfs", f"{mount['mountPath']}:mode=1777"]
        else:
            arguments += ["--volume", f"{EXAMPLES}/kubernetes/test:{mount['mountPath']}:ro"]
    return [*arguments, f"--entrypoint={json.dumps(argv)}"]


if sys.argv[1:2] == ["--runner"]:
    pathlib.Path(sys.argv[2]).write_text("".join(f"{argument}\n" for argument in runner()))
else:
    check()
