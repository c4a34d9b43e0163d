"""Reads a Pod's manifest: is it `restricted`, and what would `docker run` be told?

    pod.py options FILE    the options of `docker run`, one a line; 1 and why, if it is not restricted
    pod.py probe KIND FILE the command of its startupProbe, readinessProbe or livenessProbe, one word a line
    pod.py grace FILE      terminationGracePeriodSeconds
"""

import sys

import yaml

# https://kubernetes.io/docs/concepts/security/pod-security-standards/, profile "restricted".
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

# What `options` carries over, or `faults` looks at: another word would be run by no test.
KNOWN = {
    "runAsNonRoot",
    "runAsUser",
    "runAsGroup",
    "fsGroup",
    "seccompProfile",
    "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
    "capabilities",
}


def faults(spec):
    """What the standard refuses, and what no test looks at."""
    pod = spec.get("securityContext", {})
    for context in [pod] + [one.get("securityContext", {}) for one in spec["containers"]]:
        yield from (f"{name}, which is not tested" for name in context if name not in KNOWN)
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", []):
        yield from (f"volume {kind}" for kind in volume if kind != "name" and kind not in VOLUMES)
    if pod.get("sysctls"):
        yield "sysctls"
    for container in spec.get("initContainers", []) + spec["containers"]:
        its = container.get("securityContext", {})
        both = {**pod, **its}
        capabilities = its.get("capabilities", {})
        rules = {
            "privileged": not its.get("privileged"),
            "allowPrivilegeEscalation": its.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "capabilities.drop": "ALL" in capabilities.get("drop", []),
            "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "procMount": its.get("procMount", "Default") == "Default",
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        yield from (f"{container['name']}: {rule}" for rule, kept in rules.items() if not kept)


def options(spec):
    """The same for Docker, whose seccomp profile is the runtime's default."""
    container = spec["containers"][0]
    its = {**spec["securityContext"], **container["securityContext"]}
    yield f"--user={its['runAsUser']}:{its['runAsGroup']}"
    yield f"--group-add={its['fsGroup']}"
    yield from (f"--cap-drop={name}" for name in its["capabilities"]["drop"])
    if not its["allowPrivilegeEscalation"]:
        yield "--security-opt=no-new-privileges"
    if its["readOnlyRootFilesystem"]:
        yield "--read-only"
    kinds = {volume["name"]: volume["emptyDir"] for volume in spec["volumes"]}
    for mount in container["volumeMounts"]:
        size = kinds[mount["name"]]["sizeLimit"].replace("Mi", "m")
        # The kubelet opens it to the group; runc before 1.2 keeps to the mode of the image's directory.
        yield f"--tmpfs={mount['mountPath']}:uid={its['runAsUser']},gid={its['fsGroup']},size={size}"
    for variable in container["env"]:
        yield f"--env={variable['name']}={variable['value']}"


def main(what, *rest):
    with open(rest[-1], encoding="utf-8") as file:
        spec = yaml.safe_load(file)["spec"]
    if what == "options":
        if found := list(faults(spec)):
            sys.exit("not restricted: " + ", ".join(found))
        lines = options(spec)
    elif what == "probe":
        lines = spec["containers"][0][rest[0]]["exec"]["command"]
    else:
        lines = [str(spec["terminationGracePeriodSeconds"])]
    print(*lines, sep="\n")


main(*sys.argv[1:])
