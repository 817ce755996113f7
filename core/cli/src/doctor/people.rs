//! Who may do what: whose rights end, and whether the identity provider answers.

use viaduct_bridge::Probe;
use viaduct_config::{Admin, Config};
use viaduct_governance::Day;
use viaduct_model::{Clock as _, Timestamp};

use crate::settings;
use crate::system::SystemClock;

/// How many days before its end a right is pointed out.
const SOON: u32 = 30;

/// The people of the configuration, and the identity provider.
///
/// # Errors
///
/// If a token cannot be read.
pub async fn probes(config: &Config) -> anyhow::Result<Vec<Probe>> {
    let mut probes = grants(&config.admin, SystemClock.now());
    if let Some(oidc) = settings::directory(config)?.oidc {
        probes.push(match oidc.keys().await {
            Ok(()) => Probe::ok("identity provider", "it answers, and has keys"),
            Err(reason) => Probe::error(
                "identity provider",
                reason,
                "until it answers only tokens from the configuration are believed; see admin.oidc.issuer",
            ),
        });
    }
    Ok(probes)
}

fn grants(admin: &Admin, now: Timestamp) -> Vec<Probe> {
    let today = Day::of(now);
    let ending = admin.people.iter().filter_map(|(user, person)| {
        let until = person.until?;
        let subject = format!("rights of {user}");
        if until < today {
            let fix = "remove them from admin.people, or give them a later day";
            return Some(Probe::warning(subject, format!("they ended with {until}"), fix));
        }
        (until < today.plus_days(SOON)).then(|| {
            let fix = "give them a later day in admin.people, if they go on";
            Probe::warning(subject, format!("they end with {until}"), fix)
        })
    });
    let mut probes: Vec<Probe> = ending.collect();
    if probes.is_empty() && !admin.people.is_empty() {
        probes.push(Probe::ok(
            "rights",
            format!("{} people, none ends soon", admin.people.len()),
        ));
    }
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_that_end_are_pointed_out() {
        let told = |now: &str| -> Vec<String> {
            let people = r#"{"people": {
                "@ann:a": {"roles": ["auditor"], "until": "2026-06-30"}, "@bob:a": {"roles": ["dpo"]}
            }}"#;
            let admin: Admin = serde_json::from_str(people).unwrap();
            let found = grants(&admin, Day::parse(now).unwrap().start());
            found
                .into_iter()
                .map(|probe| format!("{}: {}", probe.subject, probe.finding))
                .collect()
        };
        assert_eq!(told("2026-05-31"), ["rights: 2 people, none ends soon"]);
        assert_eq!(told("2026-06-01"), ["rights of @ann:a: they end with 2026-06-30"]);
        assert_eq!(told("2026-06-30"), ["rights of @ann:a: they end with 2026-06-30"]);
        assert_eq!(told("2026-07-01"), ["rights of @ann:a: they ended with 2026-06-30"]);
        assert!(grants(&Admin::default(), Timestamp(0)).is_empty());
    }
}
