//! What a message costs on its way in and out: HTML to a tree and back, and a transaction to events.
//!
//! `cargo bench -p viaduct-matrix --features fuzz`: the conversions are private, and reached through the fuzzers' entry points,
//! which convert each way twice to check what has to hold.
#![allow(missing_docs, reason = "a benchmark is no part of the crate's surface")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use viaduct_matrix::fuzz;

/// What people write, mostly.
const PLAIN: &str = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.";
/// What Element makes of formatted text.
const RICH: &str = "<p>See <strong>this</strong>, <a href=\"https://matrix.to/#/@bob:example.org\">Bob</a>:</p>\
                    <ul><li><em>one</em></li><li><code>two</code></li></ul><blockquote>said before</blockquote>";

fn html(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("html");
    let long = RICH.repeat(4096 / RICH.len());
    for (name, text) in [("plain", PLAIN), ("rich", RICH), ("rich, 4 KiB", &long)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{name}, there and back twice"), |bench| {
            bench.iter(|| fuzz::html(black_box(text)));
        });
    }
    group.finish();
}

fn transactions(criterion: &mut Criterion) {
    let event = |number: usize| {
        format!(
            r#"{{"type":"m.room.message","room_id":"!room","event_id":"$e{number}","sender":"@alice:example.org",
            "origin_server_ts":1700000000000,"content":{{"msgtype":"m.text","body":"{PLAIN}"}}}}"#
        )
    };
    let events: Vec<String> = (0..100).map(event).collect();
    let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
    let mut group = criterion.benchmark_group("transaction");
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 messages, in and out", |bench| {
        bench.iter(|| fuzz::event(black_box(body.as_bytes())));
    });
    group.finish();
}

criterion_group!(benches, html, transactions);
criterion_main!(benches);
