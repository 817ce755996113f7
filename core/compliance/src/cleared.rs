//! The seal that senders ask for.

/// Something that a policy has allowed to cross. Only this crate can make one; anybody may open it.
///
/// It cannot be read back from a file or the network either:
///
/// ```compile_fail
/// let cleared: viaduct_compliance::Cleared<u8> = serde_json::from_str("1").unwrap();
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cleared<T> {
    inner: T,
}

impl<T> Cleared<T> {
    pub(crate) fn seal(inner: T) -> Self {
        Self { inner }
    }

    /// What was cleared.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// What was cleared, by value. It cannot be sealed again.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> std::ops::Deref for Cleared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl Cleared<viaduct_model::Outbound> {
    /// Gives the destination another spelling: the engine names a mirror's Matrix side by the mirror, the homeserver wants the
    /// room. It must stay on the network it was cleared for; otherwise nothing is changed.
    pub fn readdress(&mut self, to: viaduct_model::Place) {
        if to.network == self.inner.to.network {
            self.inner.to = to;
        }
    }
}
