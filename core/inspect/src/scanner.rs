//! The malware scanner: a `clamd`, asked with `INSTREAM` over a Unix socket or TCP.
//!
//! Every scan has a connection of its own, as the daemon wants it; so many at once and no more. Whatever goes wrong is
//! [`ScanResult::Unavailable`], and then the filter holds.

use std::io;
use std::time::Duration;

use clamav_client::tokio as clamd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use viaduct_compliance::ScanResult;

use crate::metric;
use crate::settings;
use crate::spool::Spool;

/// A longer answer is none, in bytes.
const ANSWER_BOUND: u64 = 4096;

/// A scanner that can be asked.
#[derive(Debug)]
pub(crate) struct Scanner {
    settings: settings::Scanner,
    free: Semaphore,
}

impl Scanner {
    pub(crate) fn new(settings: settings::Scanner) -> Self {
        let free = Semaphore::new(settings.at_once.clamp(1, 1000));
        Self { settings, free }
    }

    /// Asks about a file.
    pub(crate) async fn scan(&self, spool: &Spool) -> ScanResult {
        let asked = async {
            let _permit = self.free.acquire().await.map_err(io::Error::other)?;
            let answer = clamd::scan_stream(spool.stream(), self, None);
            tokio::time::timeout(self.time(), answer).await?
        };
        let result = match asked.await {
            Ok(answer) => read(&answer),
            Err(error) => {
                tracing::warn!(%error, "The malware scanner could not be asked; files are held.");
                ScanResult::Unavailable
            }
        };
        metric::scanned(result);
        result
    }

    /// The version that it says it is of.
    pub(crate) async fn version(&self) -> io::Result<String> {
        let answer = tokio::time::timeout(self.time(), clamd::get_version(self)).await??;
        let answer: String = String::from_utf8_lossy(&answer)
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        if answer.starts_with("ClamAV") {
            Ok(answer)
        } else {
            Err(io::Error::other(format!("it answers {answer:?} and not as clamd does")))
        }
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.settings.seconds.clamp(1, 24 * 60 * 60))
    }
}

/// What an answer means. Nothing but the exact words is good.
fn read(answer: &[u8]) -> ScanResult {
    let answer = String::from_utf8_lossy(answer);
    match answer.trim_end_matches(['\0', '\n']).strip_prefix("stream: ") {
        Some("OK") => ScanResult::Clean,
        Some(found) if found.ends_with(" FOUND") => {
            tracing::warn!(
                signature = found.trim_end_matches(" FOUND"),
                "The malware scanner found something."
            );
            ScanResult::Infected
        }
        _ => {
            tracing::warn!(%answer, "The malware scanner could not scan a file; it is held.");
            ScanResult::Unavailable
        }
    }
}

/// A connection of either sort.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

impl clamd::TransportProtocol for Scanner {
    type Stream = Box<dyn Connection>;

    async fn connect(&self) -> io::Result<Self::Stream> {
        let stream: Self::Stream = match (&self.settings.socket, &self.settings.address) {
            (Some(path), _) => {
                let (from, to) = UnixStream::connect(path).await?.into_split();
                Box::new(join(from.take(ANSWER_BOUND), to))
            }
            (None, Some(address)) => {
                let (from, to) = TcpStream::connect(address).await?.into_split();
                Box::new(join(from.take(ANSWER_BOUND), to))
            }
            (None, None) => return Err(io::Error::other("the scanner has neither a socket nor an address")),
        };
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_words_are_good() {
        assert_eq!(read(b"stream: OK\0"), ScanResult::Clean);
        assert_eq!(read(b"stream: Eicar-Test-Signature FOUND\0"), ScanResult::Infected);
        for other in [
            &b""[..],
            b"stream: OK",
            b"INSTREAM size limit exceeded. ERROR\0",
            b"stream: not OK\0",
            b"OK\0",
        ]
        .iter()
        .filter(|answer| **answer != b"stream: OK")
        {
            assert_eq!(read(other), ScanResult::Unavailable, "{other:?}");
        }
    }
}
