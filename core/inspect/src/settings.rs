//! What an operator says about looking into files: the section `files` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How files are looked into before they cross. The policies say what follows from what is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// A file of more bytes than this is not looked into: nothing is known about it but that it is larger. With a scanner it
    /// is held for a second person.
    pub largest: u64,
    /// Seconds within which a file must have come from its network and been looked into.
    pub seconds: u64,
    /// How many files are looked into at once.
    pub at_once: usize,
    /// Bytes of files that are kept on the disk for a while, so that further destinations need not fetch them again.
    pub kept: u64,
    /// A picture of more bytes than this keeps its metadata: it counts as one whose metadata cannot be taken away.
    pub largest_picture: u64,
    /// How far archives are unpacked. What goes beyond counts as not known, and so as answering any rule about archives.
    pub archives: Archives,
    /// The malware scanner. Without it nothing is scanned.
    pub scanner: Option<Scanner>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            largest: 100 * 1024 * 1024,
            seconds: 120,
            at_once: 4,
            kept: 512 * 1024 * 1024,
            largest_picture: 32 * 1024 * 1024,
            archives: Archives::default(),
            scanner: None,
        }
    }
}

/// How far archives are unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Archives {
    /// Levels of archives within archives.
    pub levels: u32,
    /// Files in all of them together.
    pub entries: u32,
    /// Bytes that all of them together unpack to.
    pub unpacked: u64,
}

impl Default for Archives {
    fn default() -> Self {
        Self {
            levels: 4,
            entries: 10_000,
            unpacked: 256 * 1024 * 1024,
        }
    }
}

/// The daemon `clamd` of `ClamAV`. Give either `socket` or `address`. Its `StreamMaxLength` should be at least `largest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scanner {
    /// The path of its Unix socket (`LocalSocket` in its configuration).
    pub socket: Option<PathBuf>,
    /// Its host and port (`TCPAddr` and `TCPSocket` in its configuration). The connection is not encrypted: beyond this machine
    /// it needs `plaintext`.
    pub address: Option<String>,
    /// Why the connection to an `address` that is not on this machine need not be encrypted.
    pub plaintext: Option<String>,
    /// Seconds that one scan may take.
    pub seconds: u64,
    /// How many files are scanned at once. Keep it below its `MaxThreads`.
    pub at_once: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            socket: None,
            address: None,
            plaintext: None,
            seconds: 60,
            at_once: 4,
        }
    }
}

impl Files {
    /// What is wrong beyond what the schema says: the path of the key, and what to do.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let mut positive = |key: &str, value: u64| {
            if value == 0 {
                all.push((key.to_owned(), "it must be at least 1".to_owned()));
            }
        };
        positive("largest", self.largest);
        positive("seconds", self.seconds);
        positive("at_once", self.at_once as u64);
        if let Some(scanner) = &self.scanner {
            positive("scanner.seconds", scanner.seconds);
            positive("scanner.at_once", scanner.at_once as u64);
            if scanner.socket.is_some() == scanner.address.is_some() {
                let what = "give either `socket` (such as /run/clamav/clamd.ctl) or `address` (such as 127.0.0.1:3310)";
                all.push(("scanner".to_owned(), what.to_owned()));
            }
            if let Some((host, _)) = scanner.address.as_deref().and_then(|address| address.rsplit_once(':')) {
                let what = viaduct_model::link::plaintext(host, scanner.plaintext.as_deref());
                all.extend(what.map(|what| ("scanner.address".to_owned(), what)));
            }
        }
        all
    }

    /// How long a file may take in all.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds.clamp(1, 24 * 60 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_is_in_one_place() {
        let mut files = Files::default();
        assert!(files.problems().is_empty());
        files.scanner = Some(Scanner::default());
        assert_eq!(files.problems().len(), 1);
        files.scanner = Some(Scanner {
            address: Some("127.0.0.1:3310".to_owned()),
            ..Scanner::default()
        });
        assert!(files.problems().is_empty());
        files.largest = 0;
        assert_eq!(files.problems()[0].0, "largest");
    }
}
