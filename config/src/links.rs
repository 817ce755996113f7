//! Links that are not encrypted: between the homeserver and the hub, and to receivers of the ledger. What a network's bridge says
//! of its own links, and the section `files` of the scanner's, follows the same rule ([`viaduct_model::link`]).

use url::Url;
use viaduct_model::link::plaintext;

use crate::problem::Report;
use crate::tree::Node;

const FIX: &str = "use https:// or TLS, or give the reason";

pub(crate) fn check(tree: &Node, report: &mut Report) {
    homeserver(tree, report);
    exporters(tree, report);
}

/// Both ways: the tokens go along in each.
fn homeserver(tree: &Node, report: &mut Report) {
    let Some(home) = tree.get("homeserver") else { return };
    let reason = home.text_of("plaintext").map(|(reason, _)| reason);
    let mut check = |address: &str, at, key: &str| {
        let host = Url::parse(address).ok().filter(|url| url.scheme() == "http");
        let host = host.as_ref().and_then(Url::host_str);
        if let Some(what) = host.and_then(|host| plaintext(host, reason)) {
            let what = what.replace("`plaintext`", "`homeserver.plaintext`");
            report.error(at, key, what, FIX);
        }
    };
    if let Some((url, at)) = home.text_of("url") {
        check(url, at, "homeserver.url");
    }
    let Some(appservice) = tree.get("appservice") else {
        return;
    };
    if let Some((url, at)) = appservice.text_of("url") {
        check(url, at, "appservice.url");
    } else if let Some((listen, at)) = appservice.text_of("listen") {
        // Left out, the homeserver comes to the listening address.
        check(&format!("http://{listen}"), at, "appservice.listen");
    }
}

fn exporters(tree: &Node, report: &mut Report) {
    let exporters = tree.get("audit").and_then(|audit| audit.get("exporters"));
    for (number, exporter) in exporters.map(Node::items).unwrap_or_default().iter().enumerate() {
        let Some(to) = exporter.get("to") else { continue };
        if to.text_of("kind").is_none_or(|(kind, _)| kind != "tcp") {
            continue;
        }
        let reason = to.text_of("plaintext").map(|(reason, _)| reason);
        if let Some((host, at)) = to.text_of("host")
            && let Some(what) = plaintext(host, reason)
        {
            report.error(at, &format!("audit.exporters[{number}].to.host"), what, FIX);
        }
    }
}
