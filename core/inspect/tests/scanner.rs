//! The malware scanner, with a real daemon.

mod common;

use std::time::Duration;

use common::clamd::{Clamd, eicar};
use common::{Network, gzip, inspector, look_with, pieces, with_files, zip};
use tokio::io::AsyncReadExt;
use viaduct_bridge::ProbeStatus;
use viaduct_compliance::{Approval, Context, Decision, Filter, ScanResult, decide_all, release_all};
use viaduct_inspect::{Declared, Files, Scanner};

fn scanned_by(scanner: Scanner) -> Files {
    Files {
        scanner: Some(scanner),
        ..Files::default()
    }
}

#[tokio::test]
async fn malware_is_found_over_both_sockets_and_in_archives() {
    let Some(clamd) = Clamd::start().await else { return };
    for scanner in [clamd.by_socket(), clamd.by_address()] {
        let look = async |bytes: &[u8]| look_with(scanned_by(scanner.clone()), bytes).await.scan;
        assert_eq!(look(&eicar()).await, ScanResult::Infected);
        assert_eq!(look(b"plain words").await, ScanResult::Clean);
        assert_eq!(look(b"").await, ScanResult::Clean);
        assert_eq!(look(&zip(&[("a.txt", &eicar())])).await, ScanResult::Infected);
        assert_eq!(look(&gzip(&eicar())).await, ScanResult::Infected);
        assert_eq!(
            look(&vec![b'x'; 2 * 1024 * 1024]).await,
            ScanResult::Unavailable,
            "more than the daemon takes"
        );
    }
    let (inspector, _folder) = inspector(scanned_by(clamd.by_socket()));
    let probes = inspector.probe().await;
    assert_eq!(probes[0].status, ProbeStatus::Ok, "{probes:?}");
    assert!(probes[0].finding.starts_with("ClamAV"), "{probes:?}");
}

#[tokio::test]
async fn many_at_once_are_all_scanned() {
    let Some(clamd) = Clamd::start().await else { return };
    let (inspector, _folder) = inspector(scanned_by(Scanner {
        at_once: 2,
        ..clamd.by_socket()
    }));
    let scans = (0..40_u8).map(|number| {
        let inspector = inspector.clone();
        async move {
            let bytes = if number % 2 == 0 { eicar() } else { vec![number; 5000] };
            let (evidence, _) = inspector.inspect(pieces(&bytes), &Declared::default()).await.unwrap();
            evidence.scan
        }
    });
    let results = futures_util::future::join_all(scans).await;
    for (number, result) in results.into_iter().enumerate() {
        let expected = if number % 2 == 0 {
            ScanResult::Infected
        } else {
            ScanResult::Clean
        };
        assert_eq!(result, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_scanned_is_held_and_what_is_infected_refused_without_any_rule() {
    let Some(mut clamd) = Clamd::start().await else { return };
    let network = Network::default();
    network.put("bad", eicar());
    network.put("good", "words");
    let (inspector, _folder) = inspector(scanned_by(clamd.by_socket()));
    let approval = Approval {
        approver: "@second:example.org",
        reason: "looked at it myself",
    };
    let mut decisions = Vec::new();
    for files in [
        &[("bad", "a.txt")][..],
        &[("good", "a.txt")],
        &[("good", "a.txt"), ("bad", "b.txt")],
        &[("late", "a.txt")],
    ] {
        if files[0].0 == "late" {
            clamd.stop();
            network.put("late", "other words");
        }
        let mut outbound = with_files(files);
        let evidence = inspector.examine(&network, &mut outbound).await.unwrap();
        let context = Context {
            evidence: &evidence,
            ..Context::default()
        };
        decisions.push(decide_all([&Filter::default()], &context, outbound.clone()));
        decisions.push(release_all([&Filter::default()], &context, outbound, &approval));
    }
    let words: Vec<&str> = decisions
        .iter()
        .map(|decision| match decision {
            Decision::Pass { .. } => "pass",
            Decision::Hold(_) => "hold",
            Decision::Refuse(_) => "refuse",
        })
        .collect();
    let expected = ["refuse", "refuse", "pass", "pass", "refuse", "refuse", "hold", "pass"];
    assert_eq!(words, expected, "{decisions:#?}");
}

#[tokio::test]
async fn a_scanner_that_says_nothing_or_nonsense_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Some(listener.local_addr().unwrap().to_string());
    let scanner = Scanner {
        address,
        seconds: 1,
        ..Scanner::default()
    };
    let answers = tokio::spawn(async move {
        let mut open = Vec::new();
        let long = vec![b'x'; 100_000];
        for answer in [None, Some(&b"stream: OKAY\0"[..]), Some(b""), Some(&long)] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 10];
            connection.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"zINSTREAM\0");
            match answer {
                Some(answer) => {
                    // The daemon may close before everything is read.
                    tokio::io::AsyncWriteExt::write_all(&mut connection, answer).await.ok();
                }
                None => open.push(connection),
            }
        }
        open
    });
    for number in 0..4_u8 {
        let bytes = [number; 10];
        let looked = look_with(scanned_by(scanner.clone()), &bytes);
        let evidence = tokio::time::timeout(Duration::from_secs(20), looked).await.unwrap();
        assert_eq!(evidence.scan, ScanResult::Unavailable);
    }
    answers.await.unwrap();
}
