//! An example network in memory, the smallest that has everything: one channel that is a log. A session and a remote person
//! stand at it. The session can be given a [`Fault`], to show that the kit finds it.

mod remote;
mod server;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use viaduct_bridge::{Context, Factory, OpenError, Session};
use viaduct_model::{Capabilities, Lookup, Support};

pub use remote::Kim;
pub use server::Server;

use session::Loop;

/// What a faulty session does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    AcksEarly,
    BreaksUnicode,
    CallsEverybody,
    ClaimsDelivered,
    ClaimsPins,
    DoublesAfterReconnect,
    DropsMessages,
    ForgetsFormatting,
    ForgetsHistory,
    ForgetsName,
    ForgetsUnreact,
    HidesKicks,
    HidesLeave,
    IgnoresKey,
    IgnoresStop,
    LeaksLines,
    LosesFileEnd,
    LosesOnFullInbox,
    LosesReply,
    LosesThread,
    LosesTopic,
    NewIdOnRepeat,
    DiesOfBytes,
    PermanentOnLimit,
    PretendsTyping,
    ProbeFails,
    PushesEcho,
    RetriesUnknown,
    SwapsOrder,
    Truncates,
    TrustsNames,
    WrongDelete,
    WrongEditTarget,
    Anonymous,
}

/// Makes sessions at one server.
pub struct Loopback {
    pub server: Server,
    pub fault: Fault,
    pub capabilities: Capabilities,
}

impl Loopback {
    pub fn new(server: &Server, fault: Fault, mut capabilities: Capabilities) -> Self {
        if fault == Fault::ClaimsPins {
            capabilities.pins = Support::Native;
        }
        Self {
            server: server.clone(),
            fault,
            capabilities,
        }
    }
}

/// Nearly everything, natively.
pub fn rich() -> Capabilities {
    Capabilities {
        edit: Support::Native,
        delete: Support::Native,
        reply: Support::Native,
        thread: Support::Native,
        reaction: Support::Native,
        formatting: Support::Native,
        mention: Support::Native,
        file: Support::Native,
        text_limit: Some(400),
        topic: Support::Native,
        moderation: Support::Native,
        puppet: Support::Native,
        history: Support::Native,
        lookup: Lookup::Idempotent,
        ..Capabilities::default()
    }
}

#[async_trait]
impl Factory for Loopback {
    fn kind(&self) -> &'static str {
        "loopback"
    }

    fn schema(&self) -> Value {
        json!({ "type": "object" })
    }

    fn permissions(&self, _section: &Value) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, _section: &Value) -> Vec<(String, String)> {
        Vec::new()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn open(&self, _section: Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        Ok(Arc::new(Loop::new(
            self.server.clone(),
            self.fault,
            self.capabilities.clone(),
            context,
        )))
    }
}
