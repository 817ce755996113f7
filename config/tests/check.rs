//! What `check` reports, told as an operator reads it.

use std::path::Path;

use insta::assert_snapshot;
use schemars::JsonSchema;
use serde_json::{Value, json};
use viaduct_config::{Checked, Everybody, Flow, Kinds, Problem, Room, SpeakFor, check};

/// A bridge's section as a bridge would write it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is used")]
struct Talk {
    server: String,
    #[serde(default)]
    port: u16,
    password: Option<String>,
    password_file: Option<std::path::PathBuf>,
    password_env: Option<String>,
    #[serde(default)]
    tls: Tls,
}

#[derive(JsonSchema, Default, serde::Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
enum Tls {
    #[default]
    Off,
    On {
        ca_file: Option<String>,
    },
}

struct Stub;

impl Kinds for Stub {
    fn names(&self) -> Vec<String> {
        vec!["echo".into(), "talk".into()]
    }

    fn schema(&self, kind: &str) -> Option<Value> {
        match kind {
            "echo" => Some(json!({"type": "object", "additionalProperties": false})),
            "talk" => Some(schemars::schema_for!(Talk).to_value()),
            _ => None,
        }
    }

    fn check(&self, kind: &str, section: &Value) -> Vec<(String, String)> {
        let forbidden = kind == "talk" && section.get("server").is_some_and(|server| server == "forbidden");
        if forbidden {
            vec![("server".into(), "this server is forbidden".into())]
        } else {
            Vec::new()
        }
    }
}

const HEAD: &str = "\
homeserver: {url: \"http://127.0.0.1:8008\", domain: example.org}
appservice: {as_token: a, hs_token: b}
";

fn run(text: &str) -> Result<Checked, Vec<Problem>> {
    check(text, Path::new("viaduct.yaml"), &Stub)
}

fn told(text: &str) -> String {
    match run(text) {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    }
    .iter()
    .map(ToString::to_string)
    .collect::<Vec<_>>()
    .join("\n")
}

#[test]
fn a_good_configuration_is_read() {
    let text = format!(
        "{HEAD}
policies: {{quiet: {{rules: [{{name: no-topics, kinds: [topic], action: refuse}}]}}}}
networks:
  acme: {{kind: talk, own: true, server: talk.example.net, policy: {{in: quiet}}, tls: {{mode: on}}}}
  echo: {{kind: echo, own: true}}
mirrors:
- name: project
  room: {{alias: \"#project:example.org\", invite: [\"@a:example.org\"]}}
  members:
  - {{network: acme, channel: \"#project\", direction: in}}
  - {{network: echo, channel: lobby}}
- name: old
  room: \"!id\"
  members: [{{network: acme, channel: \"#project\", direction: paused}}]
"
    );
    let checked = run(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let config = checked.config;
    assert_eq!(config.mirrors[0].room.address(), "#project:example.org");
    assert!(matches!(&config.mirrors[0].room, Room::Made(room) if room.create));
    assert!(matches!(&config.mirrors[1].room, Room::Existing(_)));
    assert_eq!(config.mirrors[0].members[0].direction, Flow::In);
    let acme = config.networks.values().find(|network| network.kind == "talk").unwrap();
    assert_eq!(
        Value::Object(acme.section.clone()),
        json!({"server": "talk.example.net", "tls": {"mode": "on"}})
    );
    assert_eq!(acme.policy.inward.as_deref(), Some("quiet"));
    assert_eq!(checked.warnings.len(), 2, "two literal tokens");
    assert!(!format!("{:?}", checked.warnings).contains("a\""));
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = "\
homeserver:
  urll: http://127.0.0.1:8008
  domain: https://example.org
appservice:
  as_token: s3cret
  hs_token: 12
  listen: localhost
  bot: _via_bot
  language: fr
logging: {format: jsn}
policies: {quiet: {}}
networks:
  acme: {kind: talkk}
  Beta: {kind: talk, port: 70000, tls: {mode: offf}, policy: {in: quite}}
  matrix: {kind: echo, extra: 1}
  none: {}
mirrors:
- name: project
  room: project
  members:
  - {network: acne, channel: \"#project\"}
  - {network: acme, channel: }
- name: project
  room: 7
  members: []
storage: {}
";
    assert_snapshot!(told(text), @r##"
    error: homeserver.urll: the key `urll` is not known here
      --> viaduct.yaml:2:3
      fix: did you mean `url`?
    error: homeserver: the key `url` is missing
      --> viaduct.yaml:2:3
      fix: Where its client API is reached, such as `https://matrix.example.org` or, on the same machine, `http://127.0.0.1:8008`.
    error: homeserver.domain: this is not a server name
      --> viaduct.yaml:3:11
      fix: write what stands after the colon in user ids, such as example.org
    warning: appservice.as_token: a secret stands in the configuration itself
      --> viaduct.yaml:5:3
      fix: put it into a file of its own (mode 0600) and name that as `as_token_file`, or use `as_token_env`
    error: appservice.hs_token: expected text, found a number
      --> viaduct.yaml:6:13
      fix: put it in double quotes
    error: appservice.listen: this is not an address and port
      --> viaduct.yaml:7:11
      fix: write an IP address and a port, such as 127.0.0.1:29320 or [::1]:29320
    error: appservice.bot: the bot's name `_via_bot` looks like a ghost's, which start with `_via_`
      --> viaduct.yaml:8:8
      fix: choose another name for the bot
    error: appservice.language: `fr` is not known here
      --> viaduct.yaml:9:13
      fix: known here: `de`, `en`
    error: logging.format: `jsn` is not known here
      --> viaduct.yaml:10:19
      fix: did you mean `json`?
    error: networks.acme.kind: `talkk` is not known here
      --> viaduct.yaml:13:16
      fix: did you mean `talk`?
    error: networks.Beta: this cannot be a network's name: it contains 'B'; a name has lower-case letters a-z, digits and '-', and starts with a letter
      --> viaduct.yaml:14:3
      fix: use lower-case letters, digits and -, starting with a letter
    error: networks.Beta: the key `server` is missing
      --> viaduct.yaml:14:9
    error: networks.Beta.port: the number is above 65535
      --> viaduct.yaml:14:28
      fix: write at most 65535
    error: networks.Beta.tls.mode: `offf` is not known here
      --> viaduct.yaml:14:47
      fix: did you mean `off`?
    error: networks.Beta.policy.in: there is no policy `quite`
      --> viaduct.yaml:14:67
      fix: did you mean `quiet`?
    error: networks.matrix: `matrix` is the homeserver itself
      --> viaduct.yaml:15:3
      fix: choose another name
    error: networks.matrix.extra: the key `extra` is not known here
      --> viaduct.yaml:15:24
      fix: known here: `kind`, `own`, `policy`
    error: networks.none: the key `kind` is missing
      --> viaduct.yaml:16:9
      fix: one of: echo, talk
    error: mirrors[0].room: this is neither a room id nor an alias
      --> viaduct.yaml:19:9
      fix: write "!id:example.org" or "#name:example.org", in quotes
    error: mirrors[0].members[0].network: there is no network `acne`
      --> viaduct.yaml:21:15
      fix: did you mean `acme`?
    error: mirrors[0].members[1].channel: expected text, found nothing
      --> viaduct.yaml:22:21
      fix: give a value; one that starts with # must stand in double quotes, or it is a comment
    warning: mirrors[1]: this mirror has no channels
      --> viaduct.yaml:23:3
      fix: list them under `members`
    error: mirrors[1].name: the name `project` is already used by mirrors[0].name in line 18
      --> viaduct.yaml:23:9
      fix: give each mirror its own name
    error: mirrors[1].room: expected text or keys and values, found a number
      --> viaduct.yaml:24:9
    error: storage: the key `storage` is not known here
      --> viaduct.yaml:26:1
      fix: did you mean `store`?
    "##);
}

#[test]
fn channels_belong_to_one_mirror() {
    let text = format!(
        "{HEAD}networks: {{acme: {{kind: echo, own: true}}}}
mirrors:
- {{name: a, room: \"#a:example.org\", members: [{{network: acme, channel: x}}, {{network: acme, channel: x}}]}}
- {{name: b, room: \"#a:example.org\", members: [{{network: acme, channel: x}}]}}
"
    );
    assert_snapshot!(told(&text), @r##"
    warning: appservice.as_token: a secret stands in the configuration itself
      --> viaduct.yaml:2:14
      fix: put it into a file of its own (mode 0600) and name that as `as_token_file`, or use `as_token_env`
    warning: appservice.hs_token: a secret stands in the configuration itself
      --> viaduct.yaml:2:27
      fix: put it into a file of its own (mode 0600) and name that as `hs_token_file`, or use `hs_token_env`
    error: mirrors[0].members[1].channel: the channel `x` of `acme` is already used by mirrors[0].members[0].channel in line 5
      --> viaduct.yaml:5:101
      fix: a channel belongs to one mirror: remove it here, or set `direction: paused`
    error: mirrors[1].room: the room `#a:example.org` is already used by mirrors[0].room in line 5
      --> viaduct.yaml:6:19
      fix: put all its channels into one mirror
    error: mirrors[1].members[0].channel: the channel `x` of `acme` is already used by mirrors[0].members[0].channel in line 5
      --> viaduct.yaml:6:72
      fix: a channel belongs to one mirror: remove it here, or set `direction: paused`
    "##);
}

#[test]
fn a_bridge_adds_its_own_complaints() {
    let text = format!("{HEAD}networks: {{acme: {{kind: talk, server: forbidden}}}}\n");
    assert_snapshot!(told(&text), @r##"
    warning: appservice.as_token: a secret stands in the configuration itself
      --> viaduct.yaml:2:14
      fix: put it into a file of its own (mode 0600) and name that as `as_token_file`, or use `as_token_env`
    warning: appservice.hs_token: a secret stands in the configuration itself
      --> viaduct.yaml:2:27
      fix: put it into a file of its own (mode 0600) and name that as `hs_token_file`, or use `hs_token_env`
    error: networks.acme.server: this server is forbidden
      --> viaduct.yaml:3:31
      fix: see the reference of this kind of network
    "##);
}

#[test]
#[cfg(unix)]
fn secrets_files_are_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "t0ken\n").unwrap();
    let text = "\
homeserver: {url: \"http://127.0.0.1:8008\", domain: example.org}
appservice: {as_token_file: token, hs_token_file: missing}
networks: {acme: {kind: talk, server: x, password: p, password_env: VIADUCT_NO_SUCH_VARIABLE}}
";
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let problems = check(text, &folder.path().join("viaduct.yaml"), &Stub).unwrap_err();
    let whats: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(whats.len(), 5, "{whats:#?}");
    assert!(
        whats
            .iter()
            .any(|what| what.contains("everybody on this machine can read")),
        "{whats:?}"
    );
    assert!(
        whats.iter().any(|what| what.contains("missing cannot be read")),
        "{whats:?}"
    );
    assert!(whats.iter().any(|what| what.contains("given twice")), "{whats:?}");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "0ther\n").unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = "\
homeserver: {url: \"http://127.0.0.1:8008\", domain: example.org}
appservice: {as_token_file: token, hs_token_file: other}
";
    let checked = check(text, &folder.path().join("viaduct.yaml"), &Stub).unwrap();
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    assert_eq!(
        checked.config.appservice.as_token().unwrap().read().unwrap().reveal(),
        "t0ken"
    );
    assert_eq!(checked.config.store.path, folder.path().join("data"));
}

#[test]
fn what_is_no_yaml_says_where_and_why() {
    assert_snapshot!(told("a:\n\tb: 1\n"), @r##"
    error: this is not YAML: tabs disallowed within this context (block indentation)
      --> viaduct.yaml:2:2
      fix: indent with spaces; YAML allows no tabs
    "##);
    assert_snapshot!(told("admin: {users: [@a:example.org]}\n"), @r##"
    error: this is not YAML: unexpected character: `@'
      --> viaduct.yaml:1:17
      fix: put values that start with a special character in double quotes, such as "@admin:example.org"
    "##);
    assert_snapshot!(told(""), @r##"
    error: the key `homeserver` is missing
      --> viaduct.yaml:1:1
      fix: The homeserver.
    error: the key `appservice` is missing
      --> viaduct.yaml:1:1
      fix: How viaduct presents itself to the homeserver.
    "##);
}

#[test]
fn a_mirror_joins_nothing_that_a_barrier_keeps_apart() {
    let text = |apart: &str| {
        format!(
            "{HEAD}networks:
  one: {{kind: echo, own: true, policy: {{in: walls}}}}
  two: {{kind: echo, own: true}}
mirrors:
- name: both
  room: \"#a:example.org\"
  members:
  - {{network: one, channel: left}}
  - {{network: two, channel: {apart}}}
policies:
  walls:
    groups: {{left: {{places: [one/left]}}, right: {{places: [two/right]}}}}
    barriers: [{{name: wall, between: [left], and: [right]}}]
"
        )
    };
    let told = told(&text("right"));
    let wanted = "the barrier `wall` of the policy `walls` stands between two/right and one/left";
    assert!(told.contains(wanted), "{told}");
    assert!(run(&text("elsewhere")).is_ok());
}

#[test]
fn the_examples_of_policies_are_tried() {
    let text = format!(
        "{HEAD}policies:
  keys:
    rules:
    - {{name: good, patterns: [\"secret-[0-9]+\"], action: refuse, examples: {{match: [secret-1], pass: [secret]}}}}
    - {{name: wrong, patterns: [\"secret-[0-9]+\"], action: refuse, examples: {{match: [secret], pass: [secret-1]}}}}
    - {{name: silent, patterns: [x], action: refuse}}
  broken: {{rules: [{{name: bad, patterns: [\"(\"], action: refuse}}]}}
"
    );
    let problems = run(&text).unwrap_err();
    let told: Vec<(usize, &str)> = problems
        .iter()
        .map(|problem| (problem.at.line, problem.what.as_str()))
        .collect();
    let at = |line, words: &str| told.iter().any(|(at, what)| *at == line && what.contains(words));
    assert!(at(7, "should match is not matched"), "{told:#?}");
    assert!(at(7, "should pass is matched"), "{told:#?}");
    assert!(at(8, "nothing shows that the rule `silent`"), "{told:#?}");
    assert!(at(9, "cannot be used"), "{told:#?}");
    assert!(!told.iter().any(|(line, _)| *line == 6), "{told:#?}");
}

#[test]
fn only_own_people_are_spoken_for() {
    let with = |speak_for: &str| {
        let head = HEAD.replace("as_token: a", &format!("speak_for: {speak_for}, as_token: a"));
        run(&head)
    };
    let told = |speak_for: &str| match with(speak_for) {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    let read = |speak_for: &str| with(speak_for).unwrap().config.appservice.speak_for;
    let anna = "@anna:example.org".to_owned();
    assert_eq!(
        run(HEAD).unwrap().config.appservice.speak_for,
        SpeakFor::These(Vec::new())
    );
    assert_eq!(read("[\"@anna:example.org\"]"), SpeakFor::These(vec![anna]));
    assert_eq!(read("own-users"), SpeakFor::Everybody(Everybody::OwnUsers));
    let about = |speak_for: &str| {
        let all = told(speak_for).into_iter().map(|problem| problem.to_string());
        all.filter(|told| told.contains("speak_for"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(about("[\"@anna:example.org\"]"), "");
    assert!(about("own-users").contains("mirrored or not"));
    assert!(about("[\"@anna:elsewhere.org\"]").contains("not on this homeserver"));
    assert!(about("[\"@_via_x_y:example.org\"]").contains("is a ghost"));
    for wrong in ["[anna]", "everybody", "true"] {
        assert!(with(wrong).is_err() && !about(wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn people_have_roles_and_tokens_of_their_own() {
    let good = "\
admin:
  users: [\"@a:example.org\"]
  token_env: PATH
  people:
    \"@b:example.org\": {roles: [compliance, approver], until: 2026-12-31, token_env: CARGO_MANIFEST_DIR}
  oidc:
    issuer: https://login.example.org/realms/staff
    audience: viaduct
    user_claim: matrix
    roles: {office: [auditor]}
";
    let checked = run(&format!("{HEAD}{good}")).unwrap();
    assert_eq!(checked.config.admin.people.len(), 1);
    assert_eq!(checked.config.admin.oidc.unwrap().groups_claim, "groups");
    assert!(!told(&format!("{HEAD}{good}")).contains("admin."), "{}", told(good));

    let bad = "\
admin:
  users: [\"@a:example.org\", \"@c:example.org\"]
  token_env: PATH
  people:
    \"@a:example.org\": {roles: [operator]}
    boris: {roles: [aprover]}
    \"@d:example.org\": {roles: [], until: tomorrow, token_env: PATH}
  oidc:
    issuer: http://login.example.org
    audience: viaduct
    user_claim: matrix
    roles: {office: []}
";
    assert_snapshot!(about("admin", &told(&format!("{HEAD}{bad}"))), @"
    error: admin.token_env: this is the secret of `admin.people.@d:example.org.token_env` as well
    warning: admin.token_env: there are several `users`, so this token is nobody's: it may look and operate, nothing else
    error: admin.people.@a:example.org: `@a:example.org` is one of `users` already, who have every role
    error: admin.people.boris: this is not a Matrix user
    error: admin.people.boris.roles[0]: `aprover` is not known here
    error: admin.people.@d:example.org.roles: without a role nothing is allowed
    error: admin.people.@d:example.org.until: this is not a day
    error: admin.oidc.issuer: what is sent there could be read on the way
    error: admin.oidc.roles.office: without a role nothing is allowed
    ");
}

#[test]
fn the_console_has_an_address_and_a_place_to_log_in() {
    let good = "\
admin:
  oidc: {issuer: https://login.example.org, audience: viaduct, user_claim: matrix, roles: {office: [auditor]}}
  console: {url: https://viaduct.example.org/, client_id: viaduct-console, client_secret_env: CARGO_MANIFEST_DIR}
";
    let checked = run(&format!("{HEAD}{good}")).unwrap();
    assert!(checked.config.admin.console.unwrap().client_secret().is_some());
    let bad = "\
admin:
  console: {url: http://viaduct.example.org/console, client_id: viaduct-console, client_secret: s3cret, cookie: x}
";
    assert_snapshot!(about("admin", &told(&format!("{HEAD}{bad}"))), @"
    error: admin.console.url: what is sent there could be read on the way
    error: admin.console.url: the address has a path
    error: admin.console.client_id: there is no identity provider to log in at
    warning: admin.console.client_secret: a secret stands in the configuration itself
    error: admin.console.cookie: the key `cookie` is not known here
    ");
}

/// Networks are secured apart: the secret of one opens no other.
#[test]
fn s40_a_secret_for_two_purposes_is_pointed_out() {
    let config = "\
networks:
  one: {kind: talk, server: a, own: true, password_env: CARGO_MANIFEST_DIR}
  two: {kind: talk, server: b, own: true, password_env: PATH}
  three: {kind: talk, server: c, own: true, password_env: CARGO_MANIFEST_DIR}
admin: {token_env: PATH}
";
    let told = told(&format!("{HEAD}{config}"));
    let lines = told.lines().filter(|line| line.contains("as well"));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    warning: networks.three.password_env: this is the secret of `networks.one.password_env` as well
    warning: admin.token_env: this is the secret of `networks.two.password_env` as well
    ");
}

/// The problems of one section, with what is wrong only.
fn about(section: &str, told: &str) -> String {
    let lines = told.lines().filter(|line| line.contains(&format!(": {section}.")));
    lines.collect::<Vec<_>>().join("\n")
}
