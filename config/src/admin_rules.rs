//! What has to hold between the people of `admin`.

use crate::formats;
use crate::problem::Report;
use crate::tree::{Data, Node};

/// The three ways to give a token.
const TOKEN: [&str; 3] = ["token", "token_file", "token_env"];

pub(crate) fn check(tree: &Node, report: &mut Report) {
    let Some(section) = tree.get("admin") else { return };
    let users: Vec<&str> = section
        .get("users")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(Node::text)
        .collect();
    let people = section.get("people").map(Node::entries).unwrap_or_default();
    shared_token(section, &users, report);
    console(section, report);

    for entry in people {
        let (user, key) = (entry.key.as_str(), format!("admin.people.{}", entry.key));
        if let Some((what, fix)) = formats::complaint("matrix-user", user) {
            report.error(entry.key_at, &key, what, fix);
        }
        if users.contains(&user) {
            let what = format!("`{user}` is one of `users` already, who have every role");
            report.error(entry.key_at, &key, what, "name them in one of the two");
        }
        if let Some(roles) = entry.node.get("roles") {
            empty(roles, &format!("{key}.roles"), report);
        }
    }
    for entry in section
        .get("oidc")
        .and_then(|oidc| oidc.get("roles"))
        .map(Node::entries)
        .unwrap_or_default()
    {
        empty(&entry.node, &format!("admin.oidc.roles.{}", entry.key), report);
    }
}

/// Whoever logs in does so somewhere, and comes back to an address without a path.
fn console(section: &Node, report: &mut Report) {
    let Some(console) = section.get("console") else { return };
    if let (Some((_, at)), None) = (console.text_of("client_id"), section.get("oidc")) {
        let fix = "describe the identity provider under `admin.oidc`, or leave `client_id` out";
        report.error(
            at,
            "admin.console.client_id",
            "there is no identity provider to log in at",
            fix,
        );
    }
    if let Some((url, at)) = console.text_of("url")
        && url::Url::parse(url).is_ok_and(|url| url.path() != "/" || url.query().is_some() || url.fragment().is_some())
    {
        let fix = "write https://host only; the console is at /console below it";
        report.error(at, "admin.console.url", "the address has a path", fix);
    }
}

/// A token that is nobody's is of less use than somebody may think.
fn shared_token(section: &Node, users: &[&str], report: &mut Report) {
    let given = TOKEN
        .iter()
        .find_map(|name| section.text_of(name).map(|(_, at)| (name, at)));
    if let (Some((name, at)), [_, _, ..]) = (given, users) {
        let what = "there are several `users`, so this token is nobody's: it may look and operate, nothing else";
        let fix = "give those who act by command line an entry with a token of their own under `people`, instead of in `users`";
        report.warning(at, &format!("admin.{name}"), what, fix);
    }
}

/// Roles that are none.
fn empty(roles: &Node, key: &str, report: &mut Report) {
    if matches!(&roles.data, Data::List(items) if items.is_empty()) {
        let fix = "name at least one: operator, compliance, approver, auditor, dpo";
        report.error(roles.at, key, "without a role nothing is allowed", fix);
    }
}
