//! `viaduct run`: puts the parts together, and stands by until told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use viaduct_admin::{Hub, Metrics};
use viaduct_config::Config;
use viaduct_engine::{Commands, Engine, EngineError, Home, Parts};
use viaduct_inspect::Inspector;
use viaduct_matrix::Homeserver;
use viaduct_model::{Language, Secret};
use viaduct_store::{SledStore, StoreOptions};

use crate::registry::{Registry, factories};
use crate::system::{SystemClock, SystemEntropy};
use crate::trouble::Trouble;
use crate::{console, load, logging, settings};

/// Runs the hub until SIGTERM, SIGINT or a failure of the store.
///
/// # Errors
///
/// If it cannot be started: every reason is told in the operator's words.
pub async fn run(path: &Path, registry: &Registry) -> anyhow::Result<()> {
    let checked = load::load(path, registry)?;
    logging::start(&checked.config.logging)?;
    for warning in &checked.warnings {
        tracing::warn!(key = warning.key, line = warning.at.line, "{}.", warning.what);
    }
    // Signals are listened to from the start: one that comes while the hub starts must not be lost.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let (engine, admin) = start(&checked.config, &stop).await?;
    let mut current = checked.config;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        mirrors = current.mirrors.len(),
        "viaduct is running."
    );
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(path, registry, &engine, &mut current).await,
        }
    }
    tracing::info!("viaduct is stopping; what is being delivered is finished first.");
    stop.cancel();
    admin.await.context("the admin listener")??;
    engine
        .stop()
        .await
        .context("the store could not be closed in good order")?;
    tracing::info!("viaduct has stopped.");
    Ok(())
}

type Served = tokio::task::JoinHandle<std::io::Result<()>>;

async fn start(config: &Config, stop: &CancellationToken) -> anyhow::Result<(Arc<Engine>, Served)> {
    let metrics = Metrics::install()?;
    tokio::spawn(metrics.clone().upkeep(stop.clone()));
    let token = config
        .admin
        .token()
        .map(|source| source.read())
        .transpose()
        .context("admin: the token cannot be read")?;
    let listener = listen(config.admin.listen).await?;
    let home = settings::homeserver(config)?;
    let (path, options) = (config.store.path.clone(), store_options(config.store.cache));
    let store = tokio::task::spawn_blocking(move || SledStore::open(path, &options)).await??;

    let audit = settings::audit(config)?;
    if audit.is_none() {
        tracing::warn!("No ledger is kept, so what crosses cannot be proved: describe one under `audit`.");
    }
    let spool = config.store.path.with_extension("spool");
    let inspector = Inspector::new(config.files.clone(), &spool)?;
    let hub: Arc<OnceLock<Weak<Engine>>> = Arc::default();
    let parts = Parts {
        store: Arc::new(store),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        factories: factories(),
        home: Box::new(move |context, observer, extra| {
            let home = Homeserver::new(home, context, observer, Some(extra));
            home.map(|home| home as Arc<dyn Home>)
                .map_err(|error| EngineError::Home(error.to_string()))
        }),
        public_url: config.appservice.public_url.clone(),
        commands: Some(Arc::new(BotCommands::of(config, Arc::clone(&hub)))),
        audit,
        inspector: Some(inspector),
    };
    let engine = Arc::new(Engine::start(settings::engine(config), parts).await?);
    hub.set(Arc::downgrade(&engine)).ok();

    let router = viaduct_admin::router(
        Arc::clone(&engine) as Arc<dyn Hub>,
        metrics,
        token.as_ref().map(Secret::reveal),
    );
    let served = tokio::spawn(viaduct_admin::serve(listener, router, stop.clone()));
    Ok((engine, served))
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let fix = "another program (or another viaduct) has this address: stop it, or choose another `admin.listen`";
        Trouble::error(
            format!("the admin address {address} cannot be used: {error}"),
            "admin.listen",
            fix,
        )
    })
}

/// How the store is opened, with so much memory for its cache, in bytes.
pub fn store_options(cache: u64) -> StoreOptions {
    StoreOptions {
        cache_bytes: cache,
        ..StoreOptions::default()
    }
}

/// What the bot answers, to those whom it obeys.
struct BotCommands {
    users: Vec<String>,
    language: Language,
    hub: Arc<OnceLock<Weak<Engine>>>,
}

impl BotCommands {
    fn of(config: &Config, hub: Arc<OnceLock<Weak<Engine>>>) -> Self {
        Self {
            users: config.admin.users.clone(),
            language: config.appservice.language,
            hub,
        }
    }
}

#[async_trait]
impl Commands for BotCommands {
    async fn answer(&self, text: &str, sender: &str) -> String {
        if !self.users.iter().any(|user| user == sender) {
            let refusal = self.language.pick(
                "Only this bridge's operators may command me.",
                "Nur die Betreiber dieser Brücke dürfen mir befehlen.",
            );
            return refusal.to_owned();
        }
        let Some(engine) = self.hub.get().and_then(Weak::upgrade) else {
            return String::new();
        };
        if let Some(answer) = viaduct_admin::obey(text, sender, &*engine, self.language).await {
            return answer;
        }
        viaduct_admin::command(text, &engine.status().await, self.language)
    }
}

/// Takes over a changed configuration, or none of it if it has errors.
async fn reload(path: &Path, registry: &Registry, engine: &Engine, current: &mut Config) {
    let config = match load::load(path, registry) {
        Ok(checked) => checked.config,
        Err(error) => {
            console::complain(&crate::trouble::tell(&error));
            tracing::error!("The configuration has errors; nothing was changed.");
            return;
        }
    };
    let fixed = |config: &Config| {
        (
            config.homeserver.clone(),
            config.appservice.clone(),
            config.store.clone(),
            config.admin.clone(),
            config.audit.clone(),
            config.files.clone(),
        )
    };
    if fixed(&config) != fixed(current) || config.logging != current.logging {
        tracing::warn!("Changes of homeserver, appservice, store, admin, audit, files and logging need a restart.");
    }
    match engine.reload(settings::engine(&config)).await {
        Ok(()) => *current = config,
        Err(error) => tracing::error!(%error, "The configuration could not be taken over."),
    }
}
