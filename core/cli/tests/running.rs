//! A running hub whose homeserver is away: it starts, tells how it stands, survives a broken configuration, and ends well.

mod support;

use support::{Hub, viaduct};

#[tokio::test]
async fn a_hub_without_its_homeserver_tells_so_and_ends_well() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut hub = Hub::start();
    let token = std::fs::read_to_string(hub.folder.path().join("secrets/admin_token")).unwrap();
    let token = token.trim();
    hub.wait_for("/healthz", "", |code, _| code == 200).await;
    hub.wait_for("/readyz", "", |code, body| {
        code == 503 && body.contains(r#""network":"matrix""#)
    })
    .await;
    hub.wait_for("/metrics", "", |code, body| {
        code == 200 && body.contains("viaduct_build_info")
    })
    .await;
    assert_eq!(hub.get("/api/v1/status", "wrong").await.unwrap().0, 401);

    let listed = viaduct(hub.folder.path(), &["deliveries", "list"]).output().unwrap();
    assert!(listed.status.success());
    assert!(String::from_utf8_lossy(&listed.stdout).contains("everything arrived"));

    // A configuration with errors changes nothing; one without takes effect.
    let config = hub.folder.path().join("viaduct.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("kind: echo", "kind: ecco")).unwrap();
    hub.signal("-HUP");
    let renamed = text
        .replace("  echo:\n", "  parrot:\n")
        .replace("network: echo", "network: parrot");
    hub.wait_for("/api/v1/status", token, |_, body| {
        body.contains(r#""name":"echo","connection":"up""#)
    })
    .await;
    std::fs::write(&config, renamed).unwrap();
    hub.signal("-HUP");
    hub.wait_for("/api/v1/status", token, |_, body| {
        body.contains(r#""name":"parrot","connection":"up""#)
    })
    .await;

    hub.signal("-TERM");
    assert!(hub.end().await.success());
}
