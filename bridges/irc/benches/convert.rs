//! What a line costs on its way in and out.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark is no part of the crate's surface"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use viaduct_irc::client::line;
use viaduct_irc::convert::mirc::Run;
use viaduct_irc::convert::{mirc, render, split};

/// A line as a server with all capabilities sends it.
const LINE: &str = "@time=2026-11-23T13:00:00.123Z;msgid=Zm9vYmFy;account=ann;+draft/reply=YmF6 \
                    :ann!~ann@host.example.org PRIVMSG #project :\u{2}Bob[m]\u{2}: \u{3}04see\u{3} https://example.org/a?b=c";
/// What people write, mostly.
const PLAIN: &str = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.";
/// What bots write.
const COLOURFUL: &str = "\u{2}[build]\u{2} \u{3}09passed\u{3} \u{1d}main\u{1d} by \u{3}12,01ann\u{3}: \u{11}3f2a1c\u{11} \u{1f}done\u{f} 😀";
/// Room for text in a line, in bytes.
const ROOM: usize = 400;

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements(1));
    group.bench_function("read", |bench| bench.iter(|| line::parse(black_box(LINE))));
    let message = line::parse(LINE).unwrap();
    group.bench_function("write", |bench| bench.iter(|| line::write(black_box(&message))));
    group.finish();
}

fn formatting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("formatting");
    for (name, text) in [("plain", PLAIN), ("colourful", COLOURFUL)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{name} there and back"), |bench| {
            bench.iter(|| {
                let document = mirc::parse(black_box(text));
                let lines = render::render(&document, &|mention| mention.label.clone());
                lines
                    .iter()
                    .flat_map(|line| split::split(line, ROOM))
                    .map(|piece| piece.len())
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

/// The longest text that Matrix has, as words and as one word.
fn splitting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("split 60 KiB");
    for (name, text) in [("words", "wörter 😀 ".repeat(5_000)), ("one word", "ä".repeat(30_000))] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bench| {
            bench.iter_batched(
                || [Run::plain(text.clone())],
                |line| split::split(&line, ROOM),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, lines, formatting, splitting);
criterion_main!(benches);
