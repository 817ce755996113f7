use proptest::prelude::*;
use viaduct_model::{Language, Timestamp};

use crate::testing::*;
use crate::*;

fn at(day: &str) -> Timestamp {
    Day::parse(day).unwrap().start()
}

fn stands(agreement: &Agreement, day: &str) -> Standing {
    standing(agreement, &History::default(), &networks(), at(day))
}

#[test]
fn s26_s47_an_agreement_begins_runs_out_and_ends() {
    let agreement = agreement("acme-irc", "acme");
    assert_eq!(stands(&agreement, "2025-12-31"), Standing::NotYet);
    assert_eq!(stands(&agreement, "2026-01-01"), Standing::Active);
    assert_eq!(stands(&agreement, "2026-12-01"), Standing::Active);
    assert_eq!(stands(&agreement, "2026-12-02"), Standing::ExpiresIn(30));
    assert_eq!(stands(&agreement, "2026-12-31"), Standing::ExpiresIn(1));
    assert_eq!(stands(&agreement, "2027-01-01"), Standing::Ended);
}

#[test]
fn s42_without_every_signature_it_is_a_draft() {
    let sign_offs: [fn(&mut Agreement); 3] = [
        |agreement| agreement.sign_offs.it = None,
        |agreement| agreement.sign_offs.dpo = None,
        |agreement| agreement.sign_offs.management = None,
    ];
    for take in sign_offs {
        let mut agreement = agreement("acme-irc", "acme");
        take(&mut agreement);
        let found = stands(&agreement, "2026-06-01");
        assert!(
            matches!(&found, Standing::Draft(gaps) if matches!(gaps[..], [Gap::NoSignOff(_)])),
            "{found}"
        );
    }
}

#[test]
fn s32_without_a_basis_nothing_leaves_the_economic_area() {
    let slack = agreement("gamma-slack", "gamma");
    assert_eq!(
        stands(&slack, "2026-06-01"),
        Standing::Draft(vec![Gap::NoThirdCountryBasis])
    );
    let mut abroad = agreement("acme-irc", "acme");
    abroad.region = Region::parse("us").unwrap();
    assert_eq!(
        stands(&abroad, "2026-06-01"),
        Standing::Draft(vec![Gap::NoThirdCountryBasis])
    );
    for (basis, good) in [("unset", false), (" ", false), ("SCC, file 4711", true)] {
        for agreement in [&slack, &abroad] {
            let mut agreement = agreement.clone();
            agreement.third_country_basis = Some(basis.to_owned());
            assert_eq!(stands(&agreement, "2026-06-01").permits(), good, "{basis:?}");
        }
    }
}

#[test]
fn every_gap_is_told() {
    let mut agreement = agreement("acme-irc", "acme");
    agreement.purpose.clear();
    agreement.networks = ["nowhere", "house"].map(network).to_vec();
    agreement.people.clear();
    agreement.organisations.clear();
    agreement.contract.as_mut().unwrap().sha256 = "00".to_owned();
    agreement.contacts.clear();
    agreement.ceiling = "secret".to_owned();
    agreement.valid_until = Day::parse("2025-01-01").unwrap();
    insta::assert_snapshot!(stands(&agreement, "2026-06-01"), @"is a draft: `purpose` is empty; `valid_until` is before `valid_from`; there is no network `nowhere`; network `house` belongs to the own organisation; nobody may speak: give `organisations` or `people`; `contract.sha256` is not 64 hexadecimal digits; there is nobody to ask: give `contacts`; `ceiling` is not one of `labels`");
}

#[test]
fn an_ended_contract_pauses() {
    let mut agreement = agreement("acme-irc", "acme");
    agreement.contract.as_mut().unwrap().valid_until = Day::parse("2026-03-31").unwrap();
    assert_eq!(stands(&agreement, "2026-03-31"), Standing::ExpiresIn(1));
    let after = stands(&agreement, "2026-04-01");
    assert!(matches!(after, Standing::Suspended(_)), "{after}");
    assert_eq!(stands(&agreement, "2027-01-01"), Standing::Ended);
}

#[test]
fn s35_a_member_without_an_agreement_is_refused() {
    let register = register();
    let now = at("2026-06-01");
    assert_eq!(register.standing_of(&place("gamma-slack/C1"), now), Coverage::Missing);
    assert!(!register.standing_of(&place("gamma-slack/C1"), now).permits());
    assert!(register.standing_of(&place("acme-irc/#project"), now).permits());
    assert!(
        !register
            .standing_of(&place("acme-irc/#project"), at("2027-06-01"))
            .permits()
    );
    for own in ["matrix/project", "house/#all"] {
        assert_eq!(register.standing_of(&place(own), now), Coverage::Own);
    }
}

#[test]
fn s38_unknown_people_are_refused() {
    let register = register();
    let (here, now) = (place("acme-irc/#project"), at("2026-06-01"));
    let from = |organisation: Option<&str>, id: &str| {
        let mut person = person("acme-irc", id);
        person.organisation = organisation.map(str::to_owned);
        register.admits(&here, &person, now)
    };
    assert_eq!(from(Some("acme.example"), "anna"), Ok(()));
    assert_eq!(from(None, "anna@acme.example"), Ok(()));
    assert!(from(None, "mallory").is_err());
    assert!(from(Some("evil.example"), "mallory").is_err());
    let after = register.admits(&here, &person("acme-irc", "anna@acme.example"), at("2027-06-01"));
    assert_eq!(after, Err("the agreement with acme has ended".to_owned()));
    assert_eq!(
        register.admits(&place("house/#all"), &person("house", "anybody"), now),
        Ok(())
    );
}

#[test]
fn the_lowest_ceiling_of_a_place_counts() {
    let mut open = agreement("acme-irc", "beta");
    open.ceiling = "confidential".to_owned();
    let partners = [("acme", agreement("acme-irc", "acme")), ("beta", open)];
    let partners = partners
        .into_iter()
        .map(|(who, agreement)| (name(who), partner(agreement)))
        .collect();
    let register = Register::new(networks(), partners);
    let terms = register
        .terms_of(&place("acme-irc/#project"), at("2026-06-01"))
        .unwrap();
    assert_eq!(terms.outward.ceiling.as_deref(), Some("internal"));
    assert_eq!(
        terms.inward.groups["partners"].organisations,
        ["acme.example", "beta.example"]
    );
}

fn rank(standing: &Standing) -> u32 {
    match standing {
        Standing::Draft(_) | Standing::Offboarded => 0,
        Standing::NotYet => 1,
        Standing::Active => 2,
        Standing::ExpiresIn(days) => 100 - days,
        Standing::Suspended(_) => 200,
        Standing::Ended => 300,
    }
}

/// An agreement over one of the networks, with some of its dates and gaps.
fn any_agreement() -> impl Strategy<Value = Agreement> {
    let over = prop::sample::select(vec!["acme-irc", "beta-xmpp", "gamma-slack", "house"]);
    (over, 0_u32..500, 0_u32..500, 0_u32..800, any::<[bool; 5]>()).prop_map(|(over, from, length, contract, flags)| {
        let [signed, based, suspended, everybody, one] = flags;
        let mut agreement = agreement(over, "any");
        let first = Day::parse("2026-01-01").unwrap();
        agreement.valid_from = first.plus_days(from);
        agreement.valid_until = first.plus_days(from + length);
        agreement.contract.as_mut().unwrap().valid_until = first.plus_days(contract);
        if !signed {
            agreement.sign_offs.dpo = None;
        }
        agreement.third_country_basis = based.then(|| "SCC".to_owned());
        agreement.suspended = suspended.then(|| "no".to_owned());
        if everybody {
            agreement.people = vec!["*".to_owned()];
        }
        if one {
            agreement.channels = vec![format!("{over}/#project")];
        }
        agreement
    })
}

proptest! {
    #[test]
    fn standing_only_goes_forward(agreement in any_agreement(), days in prop::collection::vec(0_u32..1000, 2..20)) {
        let mut days = days;
        days.sort_unstable();
        let first = Day::parse("2025-12-01").unwrap();
        let ranks: Vec<u32> = days
            .iter()
            .map(|days| {
                let now = first.plus_days(*days).start();
                rank(&standing(&agreement, &History::default(), &networks(), now))
            })
            .collect();
        prop_assert!(ranks.is_sorted(), "{ranks:?}");
    }

    #[test]
    fn s06_adding_a_partner_never_lets_more_through_elsewhere(
        known in prop::collection::vec(any_agreement(), 0..4),
        new in any_agreement(),
        day in 0_u32..700,
        sender in prop::sample::select(vec!["a@any.example", "mallory"]),
    ) {
        let now = Day::parse("2026-01-01").unwrap().plus_days(day).start();
        let partners = |agreements: &[Agreement]| {
            let named = agreements.iter().enumerate();
            named.map(|(number, agreement)| (name(&format!("p{number}")), partner(agreement.clone()))).collect()
        };
        let before = Register::new(networks(), partners(&known));
        let mut all = known;
        all.push(new.clone());
        let after = Register::new(networks(), partners(&all));
        for at in ["acme-irc/#project", "acme-irc/#other", "beta-xmpp/#project", "gamma-slack/#project", "house/#project"] {
            let here = place(at);
            let speaker = person(here.network.as_str(), sender);
            let (was, is) = (before.admits(&here, &speaker, now), after.admits(&here, &speaker, now));
            if !new.covers(&here) {
                prop_assert_eq!(&was, &is, "elsewhere nothing changes");
            }
            // Where it applies, it opens only what was under no agreement at all, and for its own people.
            if is.is_ok() && was.is_err() && before.standing_of(&here, now) != Coverage::Missing {
                prop_assert!(new.covers(&here) && before.standing_of(&here, now).permits());
            }
            if !before.standing_of(&here, now).permits() && before.standing_of(&here, now) != Coverage::Missing {
                prop_assert!(!after.standing_of(&here, now).permits());
            }
        }
    }
}

#[tokio::test]
async fn s47_warnings_come_once_each_at_30_7_and_1_days() {
    let mut world = World::new("2026-01-05").await;
    let mut told = Vec::new();
    let mut day = Day::parse("2026-01-05").unwrap();
    for _ in 0..400 {
        world.clock.to(&day.to_string());
        // Every other day the hub is started again: what was told stays told.
        if told.len() % 2 == 0 {
            world = world.again().await;
        }
        for due in world.agreements.take_due().await.unwrap() {
            if due.partner == name("acme") {
                told.push(format!("{day} {:?}", due.what));
            }
        }
        day = day.plus_days(1);
    }
    insta::assert_snapshot!(told.join("\n"), @r##"
    2026-01-05 Began
    2026-12-02 Ends(30)
    2026-12-25 Ends(7)
    2026-12-31 Ends(1)
    2027-01-01 Ended
    "##);
}

#[tokio::test]
async fn after_a_long_rest_only_the_last_warning_is_given() {
    let world = World::new("2026-12-27").await;
    let due = world.agreements.take_due().await.unwrap();
    let whats: Vec<DueWhat> = due
        .iter()
        .filter(|due| due.partner == name("acme"))
        .map(|due| due.what)
        .collect();
    assert_eq!(whats, [DueWhat::Began, DueWhat::Ends(7)]);
    assert_eq!(
        due[1].say(Language::German),
        "Die Vereinbarung mit acme endet am 31.12.2026, in höchstens 7 Tagen. Verlängern: `viaduct partner renew acme \
         --until TAG`."
    );
    assert!(world.agreements.take_due().await.unwrap().is_empty());
}

#[tokio::test]
async fn commands_change_an_agreement_and_are_in_the_ledger() {
    let world = World::new("2026-06-01").await;
    let (acme, gamma) = (name("acme"), name("gamma"));
    let stands = |who: &PartnerName| world.agreements.register().standing(who, world.now()).unwrap();
    world.agreements.suspend(&acme, "audit", "@a:x").await.unwrap();
    assert_eq!(stands(&acme), Standing::Suspended("audit".to_owned()));
    assert!(world.agreements.suspend(&acme, " ", "@a:x").await.is_err());
    world.agreements.resume(&acme, "@a:x").await.unwrap();
    assert!(world.agreements.resume(&acme, "@a:x").await.is_err());
    assert_eq!(stands(&acme), Standing::Active);

    let mut slack = agreement("gamma-slack", "gamma");
    slack.third_country_basis = Some("SCC".to_owned());
    slack.sign_offs = SignOffs::default();
    world.agreements.add(&gamma, slack.clone(), "@a:x").await.unwrap();
    assert_eq!(
        world.agreements.add(&gamma, slack.clone(), "@a:x").await,
        Err(GovernanceError::Exists(gamma.clone()))
    );
    assert!(world.agreements.add(&PartnerName::own(), slack, "@a:x").await.is_err());
    for office in [Office::It, Office::Dpo, Office::Management] {
        assert!(!stands(&gamma).permits());
        world.agreements.sign(&gamma, office, "@b:x").await.unwrap();
    }
    assert_eq!(stands(&gamma), Standing::Active);
    assert!(world.agreements.sign(&acme, Office::It, "@b:x").await.is_err());

    world.clock.to("2027-01-01");
    assert_eq!(stands(&acme), Standing::Ended);
    let until = Day::parse("2027-06-30").unwrap();
    world.agreements.renew(&acme, until, "@a:x").await.unwrap();
    assert!(world.agreements.renew(&acme, until, "@a:x").await.is_err());
    assert_eq!(stands(&acme), Standing::Active);

    // All of it survives a restart; another last day in the configuration overrules the renewal.
    let again = world.again().await;
    assert_eq!(*again.agreements.register(), *world.agreements.register());
    let mut changed = configured();
    changed.get_mut(&acme).unwrap().valid_until = Day::parse("2026-11-30").unwrap();
    again.agreements.reload(changed, networks()).await.unwrap();
    assert_eq!(
        again.agreements.register().standing(&acme, again.now()),
        Some(Standing::Ended)
    );
    let ledger = world
        .ledger()
        .into_iter()
        .filter(|line| line.starts_with("agreement"))
        .collect::<Vec<_>>();
    insta::assert_snapshot!(ledger.join("\n"), @r##"
    agreement acme suspended: audit
    agreement acme resumed
    agreement gamma added, 2026-01-01 to 2026-12-31
    agreement gamma signed by it
    agreement gamma signed by dpo
    agreement gamma signed by management
    agreement acme renewed until 2027-06-30
    "##);
}
