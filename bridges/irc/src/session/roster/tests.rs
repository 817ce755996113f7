use super::*;

fn roster() -> Roster {
    let mut roster = Roster::default();
    roster.add_channel(ChannelId::new("#A").unwrap());
    roster.add_channel(ChannelId::new("#b").unwrap());
    roster
}

#[test]
fn an_id_outlives_a_nick_and_is_not_given_twice() {
    let mut roster = roster();
    roster.join("#a", "Ann", Details::default(), "").unwrap();
    let (ann, places) = roster.rename("ann", "Ann|away").unwrap();
    assert_eq!(
        (ann.id.as_str(), ann.nick.as_str(), places.len()),
        ("ann", "Ann|away", 1)
    );
    let (other, _) = roster.join("#a", "ANN", Details::default(), "").unwrap();
    assert_eq!(other.id.as_str(), "ann/2");
    assert_eq!(roster.nick_of(&PersonId::new("ann").unwrap()), "Ann|away");
    roster.quit("ann|away").unwrap();
    assert_eq!(roster.nick_of(&PersonId::new("ann").unwrap()), "ann");
}

#[test]
fn a_list_tells_only_what_is_new() {
    let mut roster = roster();
    let table = ModeTable::default();
    roster.list("#a", "@ann +bo me", &table);
    let first = roster.listed("#A", &table, &|nick| nick == "me");
    let shown = |listed: &Listed| {
        let mut came: Vec<_> = listed
            .came
            .iter()
            .map(|(user, role)| (user.id.to_string(), *role))
            .collect();
        came.sort();
        (
            came,
            listed.left.iter().map(|user| user.id.to_string()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        shown(&first),
        (
            vec![("ann".into(), Role::Moderator), ("bo".into(), Role::Voiced)],
            vec![]
        )
    );
    roster.leave_all();
    roster.list("#a", "ann!u@h cy me", &table);
    let second = roster.listed("#a", &table, &|nick| nick == "me");
    assert_eq!(shown(&second), (vec![("cy".into(), Role::Member)], vec!["bo".into()]));
    assert_eq!(roster.quit("ann").unwrap().1, [ChannelId::new("#A").unwrap()]);
}

fn of_account(account: &str) -> Details {
    Details {
        account: Some(account.to_owned()),
        ..Details::default()
    }
}

#[test]
fn a_channel_that_is_left_takes_with_it_whoever_was_only_there() {
    let mut roster = roster();
    roster.join("#a", "ann", Details::default(), "").unwrap();
    roster.join("#b", "ann", Details::default(), "").unwrap();
    roster.join("#a", "bo", Details::default(), "").unwrap();
    assert_eq!(roster.remove_channel("#A").unwrap().id.as_str(), "#A");
    assert!(roster.remove_channel("#a").is_none());
    assert_eq!(roster.places("ann"), [ChannelId::new("#b").unwrap()]);
    assert!(roster.user("bo").is_none() && roster.channels().count() == 1);
    roster.set_casemapping(Casemapping::Ascii);
    assert_eq!(roster.channels().count(), 1, "it does not come back");
}

#[test]
fn accounts_when_asked_for() {
    let mut roster = roster();
    roster.by_account = true;
    let id = |joined: Option<(Arc<User>, bool)>| joined.unwrap().0.id.to_string();
    assert_eq!(id(roster.join("#a", "Ann", of_account("acc"), "")), "$acc");
    assert_eq!(id(roster.join("#b", "Bo", Details::default(), "")), "bo");
    roster.list("#b", "Bo cy", &ModeTable::default());
    roster.describe("#b", "CY", of_account("cyril"));
    let listed = roster.listed("#b", &ModeTable::default(), &|_| false);
    assert_eq!(listed.came.first().unwrap().0.id.as_str(), "$cyril");
}

#[test]
fn whoever_logs_in_or_out_stays_the_same_person() {
    for by_account in [false, true] {
        let mut roster = roster();
        roster.by_account = by_account;
        let (ann, _) = roster.join("#a", "Ann", Details::default(), "").unwrap();
        let (before, after) = roster.learn("ANN", |known| known.account = Some("acc".into())).unwrap();
        assert_eq!((&before.id, &after.id), (&ann.id, &ann.id));
        assert_eq!(roster.learn("ann", |known| known.account = Some("acc".into())), None);
        assert_eq!(roster.person("ann", Some("acc")).unwrap().id, ann.id);
        assert_eq!(roster.person("ann", Some("another")).unwrap().id, ann.id);
        roster.learn("ann", |known| known.account = None).unwrap();
        assert_eq!(roster.person("ann", None).unwrap().id, ann.id);
    }
}

#[test]
fn what_is_known_stays_with_a_person() {
    let mut roster = roster();
    roster.list("#a", "@ann!~a@host.example bo", &ModeTable::default());
    roster.listed("#a", &ModeTable::default(), &|_| false);
    roster.learn("ann", |known| known.away = Some("lunch".into())).unwrap();
    roster.rename("ann", "anna").unwrap();
    let anna = roster.user("anna").unwrap();
    assert_eq!(anna.details.host.as_deref(), Some("host.example"));
    assert_eq!(anna.details.away.as_deref(), Some("lunch"));
    assert_eq!(roster.places("anna"), [ChannelId::new("#A").unwrap()]);
    assert!(roster.learn("nobody", |known| known.bot = true).is_none());
}
