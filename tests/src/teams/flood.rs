//! As many activities as the bot can take: for measuring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::control::Control;

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a flood went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Flood {
    /// Activities that were taken.
    pub taken: u64,
    /// Activities that were answered with something else than 2xx; they are not sent again.
    pub refused: u64,
    /// From the first until the last was answered.
    pub elapsed: Duration,
}

impl Flood {
    /// Activities taken in a second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let taken = self.taken as f64;
        taken / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

impl Control {
    /// `count` messages into these channels in turn, by one person, as fast as they are taken. Each channel has one
    /// connection and its messages come in order: one is underway at a time, so use many channels. The texts are `PREFIX 0`, `PREFIX 1` and so on. They are not in the
    /// history: this measures the way in and nothing else.
    ///
    /// # Errors
    ///
    /// When the bot has no endpoint at a plain HTTP address, or stops answering.
    pub async fn flood(&self, channels: &[&str], user: &str, prefix: &str, count: u64) -> anyhow::Result<Flood> {
        let prefix = prefix.to_owned();
        self.flood_with(channels, user, count, move |number| format!("{prefix} {number}"))
            .await
    }

    /// The same with the texts that `text` makes of their numbers; they need no escape in HTML or JSON.
    ///
    /// # Errors
    ///
    /// As [`Control::flood`].
    pub async fn flood_with(
        &self,
        channels: &[&str],
        user: &str,
        count: u64,
        text: impl Fn(u64) -> String + Send + Sync + 'static,
    ) -> anyhow::Result<Flood> {
        let (endpoint, bearer, first) = {
            let mut state = self.state();
            let index = state
                .apps
                .iter()
                .position(|one| one.app.app_id == self.app.app_id)
                .context("no app")?;
            let bearer = state.bearer(index).context("no key")?;
            let endpoint = state.apps.get(index).and_then(|one| one.endpoint.clone());
            let first = state.ids.time();
            // What is said afterwards is later than all of this.
            state.ids.skip(count);
            (endpoint.context("the bot has no endpoint")?, bearer, first)
        };
        let endpoint = url::Url::parse(&endpoint)?;
        let (number, text) = (Arc::new(AtomicU64::new(0)), Arc::new(text));
        let begun = Instant::now();
        let mut lanes = tokio::task::JoinSet::new();
        for (lane, channel) in channels.iter().enumerate() {
            let sample = self.sample(channel, user)?;
            let (endpoint, bearer, number) = (endpoint.clone(), bearer.clone(), Arc::clone(&number));
            let text = Arc::clone(&text);
            let share = (lane as u64, channels.len() as u64, count);
            lanes.spawn(async move { pour(&endpoint, &bearer, &sample, &*text, first, share, &number).await });
        }
        let mut refused = 0;
        while let Some(lane) = lanes.join_next().await {
            refused += lane??;
        }
        Ok(Flood {
            taken: number.load(Ordering::Relaxed) - refused,
            refused,
            elapsed: begun.elapsed(),
        })
    }

    /// An activity of a channel in which `MESSAGE-ID`, `MESSAGE-TIME` and `MESSAGE-TEXT` are to be replaced.
    fn sample(&self, channel: &str, user: &str) -> anyhow::Result<String> {
        let state = self.state();
        let channel = state.channels.get(channel).context("no such channel")?;
        let user = state.users.get(user).context("no such person")?;
        let mut activity: Value = state.view_frame(&self.app, channel, None, 0);
        activity["type"] = json!("message");
        activity["id"] = json!("MESSAGE-ID");
        activity["from"] = json!({ "id": user.mri, "name": user.name, "aadObjectId": user.id });
        activity["textFormat"] = json!("plain");
        activity["text"] = json!("MESSAGE-TEXT");
        activity["attachments"] = json!([{ "contentType": "text/html", "content": "<div><p>MESSAGE-TEXT</p></div>" }]);
        for name in ["timestamp", "localTimestamp"] {
            activity[name] = json!("MESSAGE-TIME");
        }
        if !channel.kind.is_chat() {
            activity["conversation"]["id"] = json!(format!("{};messageid=MESSAGE-ID", channel.id));
        }
        Ok(activity.to_string())
    }
}

/// Sends one channel's share over one connection: how many were refused.
async fn pour(
    endpoint: &url::Url,
    bearer: &str,
    sample: &str,
    text: &(impl Fn(u64) -> String + Sync),
    first: u64,
    (lane, lanes, count): (u64, u64, u64),
    answered: &AtomicU64,
) -> anyhow::Result<u64> {
    let host = endpoint.host_str().context("no host")?;
    let port = endpoint.port_or_known_default().context("no port")?;
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut refused, mut number) = (0, lane);
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json; \
         charset=utf-8\r\ncontent-length: ",
        endpoint.path()
    );
    while number < count {
        let id = first + number;
        let body = sample
            .replace("MESSAGE-ID", &id.to_string())
            .replace("MESSAGE-TIME", &super::ids::written(id))
            .replace("MESSAGE-TEXT", &text(number));
        let request = format!("{head}{}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(request.as_bytes()).await?;
        let status = timeout(PATIENCE, status(&mut stream))
            .await
            .context("the bot does not answer")??;
        refused += u64::from(!(200..300).contains(&status));
        answered.fetch_add(1, Ordering::Relaxed);
        number += lanes;
    }
    Ok(refused)
}

/// Reads one answer to its end: its status. Answers have a length; others are not understood.
async fn status(stream: &mut BufReader<TcpStream>) -> anyhow::Result<u16> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).and_then(|text| text.parse::<u16>().ok());
    let status = status.with_context(|| format!("this is no answer: {line:?}"))?;
    let mut length = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the connection ended within an answer");
        }
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(status)
}
