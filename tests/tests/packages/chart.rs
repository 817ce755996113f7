//! The Helm chart, rendered by Helm's own library with the values of the document that explains it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_tests::launch::{Hub, Place, available, project_root, python, run_script};

use super::told;

/// What Helm made of the chart.
#[derive(Debug, Deserialize)]
struct Rendered {
    errors: Vec<String>,
    refused: Option<String>,
    manifests: BTreeMap<String, String>,
}

impl Rendered {
    async fn of(python: &Path, values: &Value) -> anyhow::Result<Self> {
        let task = json!({ "chart": project_root().join("deploy/helm"), "values": values });
        let said = run_script(python, "tests/tests/packages/chart.py", &task).await?;
        Ok(serde_json::from_str(&said)?)
    }

    fn manifest(&self, name: &str) -> anyhow::Result<Value> {
        let text = self.manifests.get(&format!("viaduct/templates/{name}.yaml"));
        Ok(serde_norway::from_str(text.with_context(|| format!("no {name}"))?)?)
    }
}

/// The values that `deploy/README.md` shows.
fn documented() -> anyhow::Result<Value> {
    let text = fs::read_to_string(project_root().join("deploy/README.md"))?;
    let (_, rest) = text
        .split_once("# my-values.yaml\n")
        .context("no values in the document")?;
    let (values, _) = rest.split_once("```").context("no end of the values")?;
    Ok(serde_norway::from_str(values)?)
}

fn helm() -> anyhow::Result<PathBuf> {
    python("helm_python", "helm-python-sdk")
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_the_chart_runs_one_hub_that_may_do_little() -> anyhow::Result<()> {
    let Some(python) = available(helm())? else {
        return Ok(());
    };
    let mut values = documented()?;
    values["ports"] = json!({ "teams": 8091 });
    values["ingress"] = json!({ "enabled": true, "host": "bridge.example.org", "paths": { "/api/messages": "teams" } });
    let rendered = Rendered::of(&python, &values).await?;
    assert_eq!((rendered.errors.len(), &rendered.refused), (0, &None), "{rendered:#?}");

    let set = rendered.manifest("statefulset")?;
    assert_eq!(
        set.pointer("/spec/replicas"),
        Some(&json!(1)),
        "the store has one writer"
    );
    let pod = set.pointer("/spec/template/spec").context("no pod")?;
    let container = pod.pointer("/containers/0").context("no container")?;
    for (part, path, wanted) in [
        (pod, "/automountServiceAccountToken", json!(false)),
        (pod, "/securityContext/runAsNonRoot", json!(true)),
        (pod, "/securityContext/runAsUser", json!(10001)),
        (pod, "/securityContext/seccompProfile/type", json!("RuntimeDefault")),
        (container, "/securityContext/readOnlyRootFilesystem", json!(true)),
        (container, "/securityContext/allowPrivilegeEscalation", json!(false)),
        (container, "/securityContext/capabilities/drop", json!(["ALL"])),
        (container, "/livenessProbe/httpGet/path", json!("/healthz")),
        (container, "/readinessProbe/httpGet/path", json!("/readyz")),
    ] {
        assert_eq!(part.pointer(path), Some(&wanted), "{path} of {part:#}");
    }
    let mounts = container
        .get("volumeMounts")
        .and_then(Value::as_array)
        .context("no mounts")?;
    let volumes = pod.get("volumes").and_then(Value::as_array).context("no volumes")?;
    let claims = set
        .pointer("/spec/volumeClaimTemplates")
        .and_then(Value::as_array)
        .context("no claim")?;
    for mount in mounts {
        let named = |volume: &Value| volume.get("name").or(volume.pointer("/metadata/name")) == mount.get("name");
        assert!(volumes.iter().chain(claims).any(named), "{mount} has no volume");
    }
    let secrets: Vec<&Value> = volumes.iter().filter(|volume| volume.get("secret").is_some()).collect();
    assert_eq!(secrets.len(), 1, "secrets come as files");

    let ports = rendered.manifest("service")?["spec"]["ports"].clone();
    let names: Vec<&str> = ports
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|port| port["name"].as_str())
        .collect();
    assert_eq!(names, ["appservice", "admin", "teams"]);
    let backend = rendered.manifest("ingress")?;
    let port = backend.pointer("/spec/rules/0/http/paths/0/backend/service/port/name");
    assert_eq!(port, Some(&json!("teams")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_the_hub_accepts_the_configuration_that_the_chart_makes() -> anyhow::Result<()> {
    let Some(python) = available(helm())? else {
        return Ok(());
    };
    let rendered = Rendered::of(&python, &documented()?).await?;
    let map = rendered.manifest("config")?;
    let config = map
        .pointer("/data/viaduct.yaml")
        .and_then(Value::as_str)
        .context("no configuration")?;
    assert!(config.contains("url: http://hub-viaduct.hubs.svc:29320"), "{config}");
    let place = Place::new("chart")?;
    let path = place.write("viaduct.yaml", config)?;
    let secrets = place.folder("secrets")?;
    told(
        Command::new(Hub::binary()?)
            .args(["audit", "key"])
            .arg(&secrets)
            .args(["--origin", "example.org/viaduct"]),
    )?;
    for name in ["as_token", "hs_token", "admin_token"] {
        let path = secrets.join(name);
        fs::write(&path, format!("the {name} of a test, long enough\n"))?;
        // What the chart mounts them with: not for everybody.
        fs::set_permissions(path, fs::Permissions::from_mode(0o440))?;
    }
    let checked = told(Command::new(Hub::binary()?).arg("-c").arg(path).arg("check"))?;
    ensure!(checked.contains("0 errors"), "{checked}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_the_chart_refuses_values_that_say_too_little() -> anyhow::Result<()> {
    let Some(python) = available(helm())? else {
        return Ok(());
    };
    let refused = Rendered::of(&python, &json!({})).await?.refused.unwrap_or_default();
    assert!(
        refused.contains("homeserver") && refused.contains("mirrors"),
        "{refused}"
    );
    let mut values = documented()?;
    values["ports"] = json!({ "teams": 80 });
    let refused = Rendered::of(&python, &values).await?.refused.unwrap_or_default();
    assert!(refused.contains("/ports/teams"), "{refused}");
    Ok(())
}
