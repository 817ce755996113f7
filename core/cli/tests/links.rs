//! Every link that a configuration can name: what leaves this machine is encrypted, or the operator says why not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use viaduct_cli::registry::Registry;
use viaduct_config::{Severity, check};

/// The key of what is wrong in a configuration with these lines beyond what it needs; none if nothing is.
fn complaint(home: &str, appservice: &str, rest: &str) -> Option<String> {
    let text = format!(
        "homeserver: {{ domain: example.org, {home} }}\nappservice: {{ as_token_env: A, hs_token_env: B, {appservice} }}\n{rest}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let Err(problems) = check(&text, &folder.path().join("viaduct.yaml"), &Registry::new()) else {
        return None;
    };
    let mut errors = problems
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error);
    let error = errors.next().unwrap();
    assert!(errors.next().is_none(), "more than one thing is wrong in {text}");
    assert!(
        ["could read and change", "https"]
            .iter()
            .any(|word| error.what.contains(word)),
        "{text}: {error}"
    );
    Some(error.key)
}

/// One link, as it is written with an address of its other end and with what else the row says.
struct Link {
    name: &'static str,
    /// Where the complaint is.
    key: &'static str,
    /// The lines, with `HOST` for the other end.
    lines: [&'static str; 3],
    /// The same with a reason; empty where nothing but encryption will do.
    with_reason: [&'static str; 3],
    /// The same encrypted; empty where that is not possible.
    encrypted: [&'static str; 3],
}

const HOME: &str = "url: 'https://matrix.example.org'";
const NOTHING: [&str; 3] = ["", "", ""];

const LINKS: &[Link] = &[
    Link {
        name: "to the homeserver",
        key: "homeserver.url",
        lines: ["url: 'http://HOST:8008'", "", ""],
        with_reason: ["url: 'http://HOST:8008', plaintext: one private network", "", ""],
        encrypted: ["url: 'https://HOST:8008'", "", ""],
    },
    Link {
        name: "from the homeserver",
        key: "appservice.url",
        lines: [HOME, "url: 'http://HOST:29320'", ""],
        with_reason: [
            "url: 'https://matrix.example.org', plaintext: one private network",
            "url: 'http://HOST:29320'",
            "",
        ],
        encrypted: [HOME, "url: 'https://HOST'", ""],
    },
    Link {
        name: "IRC",
        key: "networks.n.tls.enabled",
        lines: [
            HOME,
            "",
            "networks: { n: { kind: irc, own: true, server: { host: HOST }, tls: { enabled: false } } }",
        ],
        with_reason: [
            HOME,
            "",
            "networks: { n: { kind: irc, own: true, server: { host: HOST }, tls: { enabled: false }, plaintext: VPN of ticket 17 } }",
        ],
        encrypted: [
            HOME,
            "",
            "networks: { n: { kind: irc, own: true, server: { host: HOST } } }",
        ],
    },
    Link {
        name: "XMPP, as a component",
        key: "networks.n.component.host",
        lines: [
            HOME,
            "",
            "networks: { n: { kind: xmpp, own: true, component: { domain: m.example.org, secret_env: S, host: HOST } } }",
        ],
        with_reason: [
            HOME,
            "",
            "networks: { n: { kind: xmpp, own: true, plaintext: VPN of ticket 17, component: { domain: m.example.org, \
             secret_env: S, host: HOST } } }",
        ],
        encrypted: NOTHING,
    },
    Link {
        name: "Slack",
        key: "networks.n.base_url",
        lines: [
            HOME,
            "",
            "networks: { n: { kind: slack, own: true, bot_token_env: S, app_token_env: T, base_url: 'http://HOST/api/' } }",
        ],
        with_reason: NOTHING,
        encrypted: [
            HOME,
            "",
            "networks: { n: { kind: slack, own: true, bot_token_env: S, app_token_env: T, base_url: 'https://HOST/api/' } }",
        ],
    },
    Link {
        name: "Teams",
        key: "networks.n.addresses.login",
        lines: [
            HOME,
            "",
            "networks: { n: { kind: teams, own: true, app_id: 11111111-2222-3333-4444-555555555555, tenant: \
             11111111-2222-3333-4444-555555555556, secret_env: S, listen: '127.0.0.1:8091', addresses: { login: 'http://HOST/' } } }",
        ],
        with_reason: NOTHING,
        encrypted: [
            HOME,
            "",
            "networks: { n: { kind: teams, own: true, app_id: 11111111-2222-3333-4444-555555555555, tenant: \
             11111111-2222-3333-4444-555555555556, secret_env: S, listen: '127.0.0.1:8091', addresses: { login: 'https://HOST/' } } }",
        ],
    },
    Link {
        name: "to security monitoring",
        key: "audit.exporters[0].to.host",
        lines: [
            HOME,
            "",
            "audit: { key_env: K, seal_key_env: L, exporters: [{ name: s, to: { kind: tcp, host: HOST } }] }",
        ],
        with_reason: [
            HOME,
            "",
            "audit: { key_env: K, seal_key_env: L, exporters: [{ name: s, to: { kind: tcp, host: HOST, plaintext: management VLAN } }] }",
        ],
        encrypted: [
            HOME,
            "",
            "audit: { key_env: K, seal_key_env: L, exporters: [{ name: s, to: { kind: tls, host: HOST } }] }",
        ],
    },
    Link {
        name: "to the malware scanner",
        key: "files.scanner.address",
        lines: [HOME, "", "files: { scanner: { address: 'HOST:3310' } }"],
        with_reason: [
            HOME,
            "",
            "files: { scanner: { address: 'HOST:3310', plaintext: management VLAN } }",
        ],
        encrypted: NOTHING,
    },
];

#[test]
fn s13_every_link_is_encrypted_unless_there_is_a_reason() {
    let tried = |lines: &[&str; 3], host: &str| {
        let [home, appservice, rest] = lines.map(|line| line.replace("HOST", host));
        complaint(&home, &appservice, &rest)
    };
    for link in LINKS {
        for away in ["there.example.org", "10.1.2.3", "127.0.0.1.example.org"] {
            assert_eq!(
                tried(&link.lines, away).as_deref(),
                Some(link.key),
                "{} to {away}",
                link.name
            );
        }
        for here in ["127.0.0.1", "localhost"] {
            assert_eq!(tried(&link.lines, here), None, "{} to {here}", link.name);
        }
        if link.with_reason != NOTHING {
            assert_eq!(
                tried(&link.with_reason, "there.example.org"),
                None,
                "{} with a reason",
                link.name
            );
        }
        if link.encrypted != NOTHING {
            assert_eq!(
                tried(&link.encrypted, "there.example.org"),
                None,
                "{} encrypted",
                link.name
            );
        }
    }
    let listening = "listen: '10.1.2.3:29320'";
    assert_eq!(complaint(HOME, listening, "").as_deref(), Some("appservice.listen"));
    assert_eq!(
        complaint(HOME, &format!("{listening}, url: 'https://hub.example.org'"), ""),
        None
    );
}

#[test]
fn s13_an_account_of_xmpp_has_no_way_without_encryption() {
    let of = |tls: &str| {
        format!(
            "networks: {{ n: {{ kind: xmpp, own: true, account: {{ address: b@x.example, password_env: P, tls: {tls} }} }} }}"
        )
    };
    for tls in ["starttls", "direct"] {
        assert_eq!(complaint(HOME, "", &of(tls)), None, "{tls}");
    }
    let text =
        format!("homeserver: {{ domain: example.org, {HOME} }}\nappservice: {{ as_token_env: A, hs_token_env: B }}\n");
    let folder = tempfile::tempdir().unwrap();
    let checked = check(
        &format!("{text}{}", of("none")),
        &folder.path().join("v.yaml"),
        &Registry::new(),
    );
    assert!(checked.is_err());
}
