//! What the product must do, statement by statement, and the tests that hold it to that. A test that goes, or is renamed, is
//! missed here; so is a statement without any.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each statement's number, what it asks, and its tests as `file::function`.
const HELD: [(u8, &str, &[&str]); 50] = [
    (
        1,
        "a partner installs nothing but one scoped app",
        &[
            "tests/tests/story.rs::three_partners_three_projects_and_the_end_of_one_of_each",
            "core/cli/tests/compliance.rs::files_for_a_partner_are_asked_for_by_kind",
        ],
    ),
    (
        2,
        "threads, edits, reactions and files cross faithfully",
        &[
            "tests/tests/slack.rs::edits_threads_reactions_and_deletions_from_matrix_are_real_ones",
            "tests/tests/xmpp.rs::edits_replies_reactions_and_retractions_from_xmpp_are_real_ones",
            "tests/tests/irc.rs::edits_replies_reactions_and_deletions_are_put_in_words",
        ],
    ),
    (
        5,
        "what is classified never leaves",
        &[
            "core/compliance/tests/policy.rs::classified_labels_never_cross_and_ceilings_count",
            "core/engine/tests/overriding.rs::a_rooms_label_counts_as_soon_as_it_is_said",
            "tests/tests/egress.rs::s4_s5_s17_the_hub_reaches_only_whom_it_is_told_to_and_what_is_internal_stays_inside",
        ],
    ),
    (
        6,
        "adding a partner never permits more elsewhere",
        &[
            "core/governance/src/tests/agreements.rs::s06_adding_a_partner_never_lets_more_through_elsewhere",
            "core/compliance/tests/monotone.rs::adding_a_partners_policy_never_lets_more_through",
        ],
    ),
    (
        7,
        "one conformance suite for all bridges",
        &["core/bridge/tests/conformance.rs::every_fault_is_found_by_its_scenario"],
    ),
    (
        8,
        "open formats",
        &[
            "core/cli/tests/compliance.rs::the_ledger_is_checked_searched_and_handed_out",
            "tests/tests/open_formats.rs::s8_s51_a_third_party_checks_the_whole_ledger_without_the_hub",
        ],
    ),
    (
        9,
        "every delivered event has its entry",
        &[
            "core/engine/tests/crash.rs::s9_killed_at_any_step_every_delivered_event_has_its_entry_and_every_entry_its_event",
        ],
    ),
    (
        10,
        "partners come and go without reconnecting others",
        &[
            "core/engine/tests/leaving.rs::s10_what_a_reload_takes_out_is_left_and_nobody_is_reconnected",
            "core/engine/tests/flow.rs::a_reload_leaves_unaffected_networks_connected",
            "tests/tests/two_hubs/apart.rs::s10_networks_come_go_and_fail_each_for_itself",
        ],
    ),
    (
        11,
        "crashes and hostile input are contained",
        &[
            "core/engine/tests/flow.rs::transient_errors_and_panics_hold_only_their_own_destination_and_lose_nothing",
            "tests/tests/hostile.rs::hostile_lines_break_nothing",
            "tests/tests/hostile.rs::hostile_events_break_nothing_and_inject_nothing",
            "tests/tests/compliance.rs::a_file_that_cannot_be_scanned_is_held_and_what_is_infected_refused",
        ],
    ),
    (
        15,
        "notice before the first relay, also where rooms are encrypted",
        &[
            "core/engine/tests/rights.rs::s15_s41_a_room_is_told_before_the_first_relay_and_whoever_joins_as_well",
            "tests/tests/encrypted.rs::s15_s48_people_in_an_encrypted_room_are_told_and_then_talk_as_in_any_other",
        ],
    ),
    (
        16,
        "rooms that are not mirrored stay unseen",
        &["core/matrix/tests/suite/intake.rs::own_events_and_strange_rooms_are_not_passed_on"],
    ),
    (
        19,
        "doctor names what is wrong",
        &["core/matrix/tests/suite/rooms.rs::the_doctor_sees_what_is_wrong"],
    ),
    (
        20,
        "only defined rooms and channels",
        &["core/engine/tests/flow.rs::members_come_beside_the_messages_and_unmirrored_channels_go_nowhere"],
    ),
    (
        21,
        "what a network cannot do is declared",
        &[
            "core/matrix/tests/suite/rooms.rs::the_bot_sets_what_the_channel_is_like",
            "core/cli/tests/readme.rs::the_table_of_capabilities_is_current",
        ],
    ),
    (
        22,
        "bridges are optional",
        &["core/engine/tests/leaving.rs::s22_a_hub_without_networks_starts_and_stops"],
    ),
    (
        24,
        "projects are apart",
        &["tests/tests/story.rs::three_partners_three_projects_and_the_end_of_one_of_each"],
    ),
    (
        25,
        "barriers",
        &[
            "core/compliance/tests/policy.rs::barriers_stand_in_both_directions",
            "core/compliance/tests/barriers.rs::s25_a_rule_that_allows_does_not_open_a_barrier",
        ],
    ),
    (
        26,
        "what is temporary ends, is checked and deleted",
        &[
            "core/governance/src/tests/agreements.rs::s26_s47_an_agreement_begins_runs_out_and_ends",
            "core/governance/src/tests/offboarding.rs::s26_s44_s49_a_partner_is_wound_up_with_a_certificate",
        ],
    ),
    (
        27,
        "German and English, and readable for everybody",
        &[
            "core/governance/src/texts.rs::s27_s41_every_text_is_there_in_german_and_english",
            "core/admin/src/console/texts.rs::s27_every_text_is_there_in_german_and_english",
            "core/admin/src/console/style.rs::s27_texts_stand_out_from_their_ground_by_day_and_by_night",
            "tests/tests/console.rs::s27_every_page_can_be_read_by_whoever_cannot_see_it",
        ],
    ),
    (
        31,
        "keys and logs per organisation",
        &["core/governance/src/tests/keys.rs::what_is_sealed_opens_after_a_restart_for_its_partner_and_label_only"],
    ),
    (
        32,
        "nothing to third countries without a basis",
        &["core/governance/src/tests/agreements.rs::s32_without_a_basis_nothing_leaves_the_economic_area"],
    ),
    (
        33,
        "separated duties",
        &[
            "core/governance/src/tests/quarantine.rs::who_may_release",
            "core/admin/src/tests/table.rs::s33_what_each_role_may_do",
            "core/admin/src/tests/table.rs::s33_the_api_and_the_bot_obey_the_table",
            "core/admin/src/tests/people.rs::s33_a_second_person_is_another_person_with_a_token_of_their_own",
            "core/cli/tests/compliance.rs::s33_each_acts_in_their_own_name_and_within_their_role",
            "core/admin/src/tests/console/pages.rs::s33_every_page_and_form_obeys_the_table",
        ],
    ),
    (
        34,
        "policy packs",
        &["core/compliance/tests/published.rs::the_example_policies_pass_their_own_examples"],
    ),
    (
        35,
        "no mirror without an agreement",
        &[
            "core/engine/tests/agreements.rs::s35_a_channel_without_an_agreement_gets_and_gives_nothing",
            "config/tests/partners.rs::s35_a_mirror_without_an_agreement_is_reported",
        ],
    ),
    (
        36,
        "monitoring gets every entry",
        &["tests/tests/compliance.rs::security_monitoring_gets_every_entry_once_over_tls_also_of_what_it_missed"],
    ),
    (
        38,
        "unknown people and tenants are refused",
        &[
            "core/engine/tests/agreements.rs::s38_only_those_the_agreement_names_may_speak",
            "core/governance/src/tests/agreements.rs::s38_unknown_people_are_refused",
        ],
    ),
    (
        41,
        "help about data protection",
        &["core/governance/src/tests/notices.rs::s41_help_about_data_protection"],
    ),
    (
        42,
        "three offices sign",
        &["core/governance/src/tests/agreements.rs::s42_without_every_signature_it_is_a_draft"],
    ),
    (
        43,
        "three firms with rights per sub-project",
        &["tests/tests/story.rs::three_partners_three_projects_and_the_end_of_one_of_each"],
    ),
    (
        44,
        "closing: notice, leaving, certificate, complete books",
        &[
            "core/engine/tests/leaving.rs::s44_a_partners_channels_are_left_and_the_certificate_says_so",
            "tests/tests/story.rs::three_partners_three_projects_and_the_end_of_one_of_each",
        ],
    ),
    (
        46,
        "set up in hours",
        &[
            "core/cli/tests/command_line.rs::init_writes_what_check_accepts_and_never_overwrites",
            "tests/tests/documents.rs::the_first_steps_in_containers_work_as_written",
        ],
    ),
    (
        47,
        "warnings 30, 7 and 1 days before the end",
        &[
            "core/governance/src/tests/agreements.rs::s47_warnings_come_once_each_at_30_7_and_1_days",
            "core/engine/tests/agreements.rs::s47_an_agreement_warns_ends_and_goes_on_when_renewed",
        ],
    ),
    (
        49,
        "exit: keys destroyed, ghosts gone",
        &[
            "core/governance/src/tests/keys.rs::s49_a_destroyed_key_opens_nothing_even_with_the_store_of_before",
            "core/engine/tests/rights.rs::s26_s49_a_partnership_ends_with_everything_deleted_and_a_certificate",
        ],
    ),
    (
        50,
        "no way around the filter",
        &[
            "core/compliance/tests/compile_fail.rs::nothing_else_can_make_a_cleared",
            "core/engine/tests/long_texts.rs::what_a_policy_takes_out_is_not_behind_the_link",
            "core/cli/tests/arrows.rs::imports_run_one_way",
        ],
    ),
    (
        3,
        "islands joined without a centre: two hubs work together",
        &[
            "tests/tests/two_hubs/joined.rs::s3_two_hubs_over_a_room_on_xmpp_carry_everything_once_and_back_again_nothing",
            "tests/tests/two_hubs/joined.rs::s3_two_hubs_over_a_channel_on_irc_carry_everything_once_and_back_again_nothing",
        ],
    ),
    (
        4,
        "it reaches only whom it is told to",
        &["tests/tests/egress.rs::s4_s5_s17_the_hub_reaches_only_whom_it_is_told_to_and_what_is_internal_stays_inside"],
    ),
    (
        13,
        "encryption on every link",
        &["core/cli/tests/links.rs::s13_every_link_is_encrypted_unless_there_is_a_reason"],
    ),
    (
        17,
        "no telemetry, no licence server",
        &["tests/tests/egress.rs::s4_s5_s17_the_hub_reaches_only_whom_it_is_told_to_and_what_is_internal_stays_inside"],
    ),
    (
        23,
        "central identity: groups are roles",
        &[
            "core/admin/src/tests/oidc.rs::s23_groups_of_the_central_directory_are_roles",
            "core/admin/src/tests/oidc.rs::s23_a_token_is_believed_only_if_all_of_it_is_right",
            "core/admin/src/tests/console/login.rs::s23_people_log_in_centrally_and_groups_are_roles",
            "tests/tests/console.rs::s23_s33_a_second_person_logs_in_centrally_and_releases_what_is_held",
        ],
    ),
    (
        28,
        "hubs of several organisations share nothing",
        &["tests/tests/two_hubs/apart.rs::s28_two_hubs_on_one_machine_share_nothing"],
    ),
    (
        40,
        "bridges separately secured",
        &[
            "bridges/slack/tests/stand_in/apart.rs::s40_one_workspaces_tokens_neither_send_nor_listen_in_another",
            "bridges/teams/tests/apart.rs::s40_one_tenants_app_cannot_send_in_another",
            "bridges/xmpp/tests/real/apart.rs::s40_one_components_secret_neither_speaks_nor_listens_for_another_on_prosody",
            "config/tests/check.rs::s40_a_secret_for_two_purposes_is_pointed_out",
        ],
    ),
    (
        45,
        "know-how is protected",
        &[
            "core/compliance/tests/know_how.rs::s45_passages_of_protected_documents_are_found_and_others_are_not",
            "core/compliance/tests/know_how.rs::s45_protected_values_are_found_and_others_are_not",
            "core/inspect/tests/text.rs::s45_protected_values_and_passages_are_found_in_files",
            "core/cli/tests/protect.rs::s45_the_example_policy_protects_what_its_lists_were_made_of",
        ],
    ),
    (
        51,
        "independence: anybody can check the records",
        &["tests/tests/open_formats.rs::s8_s51_a_third_party_checks_the_whole_ledger_without_the_hub"],
    ),
    (
        30,
        "each answers for their own: a controller is named, and deletion reaches the own records only",
        &[
            "core/governance/src/tests/offboarding.rs::s30_winding_up_one_partner_leaves_the_records_of_others_and_the_partners_own_alone",
            "core/governance/src/tests/subject.rs::s30_erasing_one_person_touches_nothing_of_anybody_else",
        ],
    ),
    (
        39,
        "who talks to whom: every pair of parties, in both directions",
        &[
            "core/compliance/tests/barriers.rs::s39_exactly_those_pairs_are_apart_that_a_barrier_names_and_in_both_directions",
        ],
    ),
    (
        48,
        "encrypted links, disclosure, authorised people only",
        &[
            "core/cli/tests/links.rs::s13_every_link_is_encrypted_unless_there_is_a_reason",
            "core/engine/tests/rights.rs::s15_s41_a_room_is_told_before_the_first_relay_and_whoever_joins_as_well",
            "core/engine/tests/agreements.rs::s38_only_those_the_agreement_names_may_speak",
            "tests/tests/encrypted.rs::s15_s48_people_in_an_encrypted_room_are_told_and_then_talk_as_in_any_other",
        ],
    ),
    (
        52,
        "templates for contracts, assessments and operation, in both languages",
        &[
            "tests/tests/compliance_templates.rs::s52_every_document_is_there_in_german_and_english_and_says_what_it_is",
            "tests/tests/compliance_templates.rs::s52_whatever_they_name_exists",
        ],
    ),
    (
        14,
        "the directory stays where it is",
        &["tests/tests/compliance_directory.rs::s14_nobody_is_asked_for_a_list_of_people"],
    ),
    (
        18,
        "in house or in a cloud",
        &[
            "tests/tests/packages/debian.rs::s18_the_debian_package_is_installed_and_removed_and_keeps_what_is_the_administrators",
            "tests/tests/packages/chart.rs::s18_the_hub_accepts_the_configuration_that_the_chart_makes",
            "tests/tests/packages/image.rs::s18_the_image_runs_the_hub_without_root_shell_or_network",
        ],
    ),
    (
        37,
        "a label can ask for encryption",
        &[
            "core/compliance/tests/policy.rs::s37_a_label_that_asks_for_encryption_is_refused_in_a_room_that_is_not_encrypted",
            "tests/tests/encrypted.rs::s37_nothing_crosses_where_room_and_mirror_do_not_fit_and_it_is_told",
        ],
    ),
];

/// Statements that no test of their own holds, and why.
const OPEN: [(u8, &str); 2] = [
    (12, "Synapse only; Dendrite is not among the servers of the tests"),
    (29, "how it looks is judged by eye"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_statement_has_its_tests_or_a_reason() {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut missing = Vec::new();
    for (number, statement, tests) in HELD {
        assert!(!tests.is_empty(), "{number}: {statement}");
        for test in tests {
            let (file, function) = test.split_once("::").unwrap();
            let text = files
                .entry(file)
                .or_insert_with(|| std::fs::read_to_string(root().join(file)).unwrap_or_default());
            if !text.contains(&format!("fn {function}(")) {
                missing.push(format!("{number} ({statement}): {test} is not there"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let numbers: Vec<u8> = HELD
        .iter()
        .map(|(number, ..)| *number)
        .chain(OPEN.map(|(number, _)| number))
        .collect();
    let each: BTreeSet<u8> = numbers.iter().copied().collect();
    assert_eq!((each.len(), each), (numbers.len(), (1..=52).collect()), "each once");
}
