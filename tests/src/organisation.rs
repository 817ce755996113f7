//! One organisation: a homeserver of its own, and its hub beside it.

use crate::launch::{Hub, HubSpec, Synapse, SynapseSpec, Trace, free_port};

/// Real Synapse and a hub that know each other.
///
/// The fields are dropped in this order: the hub goes first, as an operator would stop it.
#[derive(Debug)]
pub struct Organisation {
    /// The hub.
    pub hub: Hub,
    /// The homeserver.
    pub synapse: Synapse,
}

impl Organisation {
    /// Starts one with this server name, its homeserver on this port or a free one; `complete` adds networks, mirrors and
    /// whatever else to a hub that knows only its homeserver.
    ///
    /// # Errors
    ///
    /// [`crate::launch::Missing`], or why one of them did not start.
    pub async fn start(
        domain: &str,
        port: Option<u16>,
        complete: impl FnOnce(HubSpec) -> HubSpec,
    ) -> anyhow::Result<Self> {
        Self::start_watched(domain, port, None, complete).await
    }

    /// The same with a hub that is watched from its start on, where somebody watches.
    ///
    /// # Errors
    ///
    /// As [`Organisation::start`].
    pub async fn start_watched(
        domain: &str,
        port: Option<u16>,
        trace: Option<Trace>,
        complete: impl FnOnce(HubSpec) -> HubSpec,
    ) -> anyhow::Result<Self> {
        // What is missing is told before anything is started.
        Synapse::python()?;
        let port = port.map_or_else(free_port, Ok)?;
        let spec = HubSpec::new(&format!("http://127.0.0.1:{port}"), domain);
        let mut hub = Hub::prepare(&complete(spec))?;
        let synapse = Synapse::start(SynapseSpec {
            registration: Some(hub.registration()?),
            domain: Some(domain.to_owned()),
            port: Some(port),
            room_version: None,
        })
        .await?;
        if let Some(trace) = trace {
            hub.watch(trace);
        }
        hub.start().await?;
        Ok(Self { hub, synapse })
    }
}
