//! What a commit costs: alone, and as the hub does it, with many mirrors accepting and settling side by side.
//!
//! `cargo bench -p viaduct-store`. Besides criterion's figures it prints the processor time for a pair of accept and settle,
//! the size on disk and the memory at the end. `VIADUCT_BENCH_CACHE` sets the cache in bytes.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::time::Instant;
use viaduct_store::suite::{accept, commit, event, id, lane, mirror, place};
use viaduct_store::{Accepted, Batch, Copied, Op, Seq, SledStore, Store, StoreOptions};

const MIRRORS: u64 = 20;

/// One message through one mirror: accepted, then settled at its one destination.
async fn pair(store: &SledStore, name: &str, number: u64) {
    let applied = commit(
        store,
        vec![accept(
            name,
            event(name, &format!("m{number}"), "a line of text, as people say it"),
        )],
    );
    let [Accepted::New(seq)] = applied.await.unwrap()[..] else {
        return;
    };
    commit(store, vec![settle(name, seq, number)]).await.unwrap();
}

fn settle(name: &str, seq: Seq, number: u64) -> Op {
    let there = id(&format!("$event-id-of-usual-length-at-the-destination-{number}"));
    Op::Settle {
        lane: lane(name, "to"),
        seq,
        copied: Some(Copied {
            from: place(name),
            id: id(&format!("m{number}")),
            ids: vec![there],
        }),
        record: None,
    }
}

/// Many messages through one mirror, as a busy lane sends them: accepted as they come, settled as they are answered.
async fn pipelined(store: &SledStore, name: &str, from: u64, count: u64) {
    const WINDOW: usize = 32;
    let mut waiting = std::collections::VecDeque::new();
    for number in from..from + count {
        let op = accept(
            name,
            event(name, &format!("m{number}"), "a line of text, as people say it"),
        );
        waiting.push_back((number, store.submit(Batch::of(op)).await.unwrap()));
        if waiting.len() >= WINDOW
            && let Some((number, commit)) = waiting.pop_front()
            && let [Accepted::New(seq)] = commit.await.unwrap()[..]
        {
            drop(store.submit(Batch::of(settle(name, seq, number))).await.unwrap());
        }
    }
    for (number, commit) in waiting {
        if let [Accepted::New(seq)] = commit.await.unwrap()[..] {
            drop(store.submit(Batch::of(settle(name, seq, number))).await.unwrap());
        }
    }
    commit(
        store,
        vec![Op::Begin {
            lane: lane(name, "to"),
            through: Seq(0),
        }],
    )
    .await
    .unwrap();
}

/// Processor seconds of this process so far.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap()
        .to_owned()
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::Builder::new()
        .prefix("viaduct-bench")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let mut options = StoreOptions::default();
    if let Ok(bytes) = std::env::var("VIADUCT_BENCH_CACHE") {
        options.cache_bytes = bytes.parse().unwrap();
    }
    let store = Arc::new(SledStore::open(folder.path(), &options).unwrap());
    println!("Open and idle: {}", memory());
    let number = AtomicU64::new(0);

    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    group.bench_function("one accept, alone", |bench| {
        bench.iter(|| {
            let number = number.fetch_add(1, Ordering::Relaxed);
            let op = accept("alone", event("alone", &format!("m{number}"), "text"));
            runtime.block_on(commit(&*store, vec![op])).unwrap()
        });
    });

    let mut total = 0;
    let start = processor();
    for (what, window) in [
        ("accept and settle, 20 mirrors, one at a time", false),
        ("accept and settle, 20 mirrors, busy", true),
    ] {
        group.throughput(Throughput::Elements(MIRRORS * 50));
        group.bench_function(what, |bench| {
            bench.iter_custom(|rounds| {
                let each = rounds * 50;
                total += each * MIRRORS;
                let from = number.fetch_add(each, Ordering::Relaxed);
                let begin = Instant::now();
                runtime.block_on(async {
                    let tasks: Vec<_> = (0..MIRRORS)
                        .map(|mirror| {
                            let (store, name) = (Arc::clone(&store), format!("m{mirror}"));
                            tokio::spawn(async move {
                                if window {
                                    return pipelined(&store, &name, from, each).await;
                                }
                                for number in from..from + each {
                                    pair(&store, &name, number).await;
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
                begin.elapsed()
            });
        });
        let spent = processor() - start;
        #[allow(clippy::cast_precision_loss)]
        let each = spent * 1e6 / total as f64;
        println!(
            "So far {total} pairs, {each:.1} µs of processor time each; {}",
            memory()
        );
    }
    group.finish();
    println!(
        "{} bytes on disk, {} entries in one mirror",
        store.disk_bytes().unwrap(),
        { runtime.block_on(store.last(&mirror("m0"))).unwrap() }
    );
    runtime.block_on(store.close()).unwrap();
}

criterion_group!(commits, benches);
criterion_main!(commits);
