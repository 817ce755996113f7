//! `viaduct run`: puts the parts together, and stands by until told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use viaduct_admin::{Access, Console, Desk, Hub, Metrics};
use viaduct_config::Config;
use viaduct_engine::{Commands, Engine, EngineError, Home, Parts};
use viaduct_inspect::Inspector;
use viaduct_matrix::Homeserver;
use viaduct_model::Language;
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
    let Started { engine, desk, served } = start(&checked.config, &stop).await?;
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
            _ = hangup.recv() => reload(path, registry, &engine, &desk, &mut current).await,
        }
    }
    tracing::info!("viaduct is stopping; what is being delivered is finished first.");
    stop.cancel();
    served.await.context("the admin listener")??;
    engine
        .stop()
        .await
        .context("the store could not be closed in good order")?;
    tracing::info!("viaduct has stopped.");
    Ok(())
}

/// What is told who people are, and what there is to see.
struct FrontDesk {
    access: Arc<Access>,
    console: Option<Arc<Console>>,
}

/// A hub at work.
struct Started {
    engine: Arc<Engine>,
    desk: FrontDesk,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start(config: &Config, stop: &CancellationToken) -> anyhow::Result<Started> {
    let metrics = Metrics::install()?;
    tokio::spawn(metrics.clone().upkeep(stop.clone()));
    let access = Arc::new(Access::new(settings::directory(config)?, Arc::new(SystemClock)));
    let console = settings::console(config)?.map(|parts| Arc::new(Console::new(parts)));
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
    let desk: Arc<OnceLock<Weak<Desk>>> = Arc::default();
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
        commands: Some(Arc::new(BotCommands {
            language: config.appservice.language,
            desk: Arc::clone(&desk),
        })),
        audit,
        inspector: Some(inspector),
    };
    let engine = Arc::new(Engine::start(settings::engine(config), parts).await?);
    let at_work = Arc::new(Desk::new(Arc::clone(&engine) as Arc<dyn Hub>, Arc::clone(&access)));
    desk.set(Arc::downgrade(&at_work)).ok();
    let router = viaduct_admin::router(at_work, metrics, console.clone());
    let served = tokio::spawn(viaduct_admin::serve(listener, router, stop.clone()));
    let desk = FrontDesk { access, console };
    Ok(Started { engine, desk, served })
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
    language: Language,
    desk: Arc<OnceLock<Weak<Desk>>>,
}

#[async_trait]
impl Commands for BotCommands {
    async fn answer(&self, text: &str, sender: &str) -> String {
        match self.desk.get().and_then(Weak::upgrade) {
            Some(desk) => viaduct_admin::answer(text, sender, &desk, self.language).await,
            None => String::new(),
        }
    }
}

/// Takes over a changed configuration, or none of it if it has errors.
async fn reload(path: &Path, registry: &Registry, engine: &Engine, desk: &FrontDesk, current: &mut Config) {
    let read = || {
        let config = load::load(path, registry)?.config;
        let directory = settings::directory(&config)?;
        anyhow::Ok((config, directory))
    };
    let (config, directory) = match read() {
        Ok(read) => read,
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
            config.admin.listen,
            config.admin.console.clone(),
            config.audit.clone(),
            config.files.clone(),
        )
    };
    if fixed(&config) != fixed(current) || config.logging != current.logging {
        tracing::warn!(
            "Changes of homeserver, appservice, store, admin.listen, admin.console, audit, files and logging need a restart."
        );
    }
    match engine.reload(settings::engine(&config)).await {
        Ok(()) => {
            desk.access.replace(directory);
            if let Some(console) = &desk.console {
                console.replace(settings::engine(&config));
            }
            *current = config;
        }
        Err(error) => tracing::error!(%error, "The configuration could not be taken over."),
    }
}
