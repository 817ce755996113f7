//! One socket of Socket Mode.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Delivery, Frame};

/// Frames written before they are flushed.
const BATCH: usize = 64;
/// How often Slack's side sends a ping.
const PING: Duration = Duration::from_secs(5);
/// How long a frozen socket is kept.
const FROZEN: Duration = Duration::from_mins(10);

#[derive(Deserialize)]
struct Ack {
    envelope_id: String,
}

/// How writing came to its end.
#[derive(PartialEq, Eq)]
enum End {
    Over,
    Frozen,
}

/// Serves a socket until either side ends it. What is no acknowledgement goes to `violation`.
pub(in crate::slack) async fn serve(delivery: &Delivery, socket: WebSocket, violation: impl Fn(String)) {
    let (number, mut frames) = delivery.connect();
    let (mut sink, mut stream) = socket.split();
    let end = tokio::select! {
        end = write(&mut sink, &mut frames) => end,
        () = read(&mut stream, delivery, violation) => End::Over,
    };
    if end == End::Frozen {
        tokio::time::sleep(FROZEN).await;
    }
    delivery.disconnect(number);
}

async fn write(sink: &mut SplitSink<WebSocket, Message>, frames: &mut UnboundedReceiver<Frame>) -> End {
    let mut batch = Vec::with_capacity(BATCH);
    let mut pings = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
    loop {
        tokio::select! {
            taken = frames.recv_many(&mut batch, BATCH) => if taken == 0 { return End::Over },
            _ = pings.tick() => {
                if sink.send(Message::Ping("ping from stand-in".into())).await.is_err() {
                    return End::Over;
                }
            }
        }
        for frame in batch.drain(..) {
            let sent = match frame {
                Frame::Text(text) => sink.feed(Message::Text(text.into())).await,
                Frame::Close => {
                    sink.send(Message::Close(None)).await.ok();
                    return End::Over;
                }
                Frame::Break => return End::Over,
                Frame::Freeze => return End::Frozen,
            };
            if sent.is_err() {
                return End::Over;
            }
        }
        if sink.flush().await.is_err() {
            return End::Over;
        }
    }
}

async fn read(stream: &mut SplitStream<WebSocket>, delivery: &Delivery, violation: impl Fn(String)) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(text) => match serde_json::from_str::<Ack>(&text) {
                Ok(ack) => delivery.acknowledge(&ack.envelope_id),
                Err(error) => violation(format!("this is no acknowledgement: {error}")),
            },
            Message::Binary(_) => violation("a binary frame".to_owned()),
            Message::Close(_) => return,
            // Pings are answered below this layer.
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}
