"""Takes rendered manifests apart, for check.sh: what Kubernetes has schemas for goes to core/, the rules of the Prometheus
operator's object into a rule file of Prometheus's own. The rest is named."""

import sys
from pathlib import Path

import yaml

CORE = {"v1", "apps/v1", "policy/v1", "networking.k8s.io/v1"}

folder = Path(sys.argv[1])
(folder / "core").mkdir()
for path in sorted(folder.glob("*.yaml")):
    objects = [item for item in yaml.safe_load_all(path.read_text()) if item]
    core = [item for item in objects if item["apiVersion"] in CORE]
    assert core, f"{path} has nothing that can be checked"
    (folder / "core" / path.name).write_text(yaml.safe_dump_all(core))
    for item in objects:
        if item["kind"] == "PrometheusRule":
            (folder / "rules.yaml").write_text(yaml.safe_dump(item["spec"]))
        if item["apiVersion"] not in CORE:
            print(f"   no schema for {item['kind']} {item['metadata']['name']} in {path.name}")
