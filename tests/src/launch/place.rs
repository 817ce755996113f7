//! A directory and ports for one server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;
use tempfile::TempDir;

/// Ports are taken from below the range that the system gives to outgoing connections, so that none is lost between
/// looking and listening.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A directory that vanishes with its owner. Other users may enter it, because some servers refuse to run as root.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// A new, empty directory.
    ///
    /// # Errors
    ///
    /// When the temporary folder cannot be written.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&format!("viaduct-{name}-")).tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))?;
        Ok(Self { directory })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path within it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into it, and says where it is.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        Ok(path)
    }

    /// Makes a folder in it that anybody may write to, and says where it is.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        Ok(path)
    }
}

/// A loopback port that nobody listens on, and that no other caller in this process gets.
///
/// # Errors
///
/// When every port is taken.
pub fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries run one after the other or side by side: each starts somewhere else.
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(PORTS)).unwrap_or(0);
    (0..PORTS)
        .map(|_| FIRST_PORT + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port on loopback")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_once() {
        let ports: Vec<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        let mut unique = ports.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ports.len());
    }

    #[test]
    fn a_place_vanishes() {
        let place = Place::new("test").unwrap();
        let path = place.write("a", "b").unwrap();
        assert!(path.exists());
        drop(place);
        assert!(!path.exists());
    }
}
