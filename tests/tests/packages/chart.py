"""Lints and renders a chart with Helm's own library; prints the findings and the manifests as JSON."""

import json
import sys

import helm_python as helm

task = json.loads(sys.argv[1])
findings = helm.lint(task["chart"], task["values"])
with helm.Chart.load(task["chart"]) as chart:
    try:
        chart.validate_schema(task["values"])
        manifests = chart.render(task["values"], name="hub", namespace="hubs")
        error = None
    except helm.HelmError as refused:
        manifests, error = {}, str(refused)
print(json.dumps({"errors": findings["errors"], "refused": error, "manifests": manifests}))
