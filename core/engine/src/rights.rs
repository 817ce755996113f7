//! What people may demand and what has to end: access, erasure, pseudonyms, legal holds, retention, the end of a partnership.

use std::sync::Arc;

use viaduct_audit::{Query, Reader, Record, Tag, find};
use viaduct_governance::{
    Certificate, LegalHold, MirrorPlaces, Offboarding, PartnerName, Preview, RetentionReport, Scope, Subject,
    SubjectExport, SubjectRights, Tally,
};
use viaduct_model::{NetworkName, PersonId};

use crate::core::Core;
use crate::govern::Desk;
use crate::hands::Hands;
use crate::ledger::Book;
use crate::{Engine, EngineError, upkeep};

/// How many of the ledger's records one export takes.
const RECORDS: usize = 200_000;
/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// Everything that rights are exercised with.
struct Bench<'a> {
    book: &'a Book,
    desk: &'a Desk,
    hands: Hands,
    mirrors: Vec<MirrorPlaces>,
    holds: Vec<LegalHold>,
    own_days: u32,
}

impl<'a> Bench<'a> {
    async fn of(core: &'a Arc<Core>) -> Result<Self, EngineError> {
        let (Some(book), Some(desk)) = (&core.book, &core.govern.desk) else {
            return Err(EngineError::NoLedger);
        };
        Ok(Self {
            book,
            desk,
            hands: Hands(core.clone()),
            mirrors: mirrors(core),
            holds: desk.holds.list().await?,
            own_days: own_days(core),
        })
    }
}

/// Every mirror and its places.
pub(crate) fn mirrors(core: &Core) -> Vec<MirrorPlaces> {
    let routes = core.routes();
    let places = |mirror: &Arc<crate::routes::Mirror>| MirrorPlaces {
        name: mirror.name.clone(),
        members: mirror.members.iter().map(|member| member.place.clone()).collect(),
    };
    let mut all: Vec<MirrorPlaces> = routes.mirrors().map(places).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn own_days(core: &Core) -> u32 {
    u32::try_from(core.settings().keep.as_secs() / DAY).unwrap_or(u32::MAX)
}

/// Deletes what agreements do not let the hub keep any longer; what a hold covers stays.
pub(crate) async fn retain(core: &Arc<Core>) -> Result<RetentionReport, EngineError> {
    let bench = Bench::of(core).await?;
    let register = core.govern.register();
    let now = core.clock.now();
    let job = &bench.desk.retention;
    let done = job
        .run(&register, &bench.holds, &bench.mirrors, bench.own_days, now)
        .await;
    core.forget_handed();
    Ok(done?)
}

/// Goes on with partnerships whose end was begun.
pub(crate) async fn go_on(core: &Arc<Core>) -> Result<(), EngineError> {
    let bench = Bench::of(core).await?;
    let Some(agreements) = &core.govern.agreements else {
        return Ok(());
    };
    let offboarding = offboarding(core, &bench, agreements)?;
    for progress in offboarding.unfinished().await? {
        let Ok(alone) = bench.desk.winding_up.try_lock() else {
            return Ok(());
        };
        let done = offboarding
            .run(&progress.partner, &progress.mirrors, &progress.by, &*core.clock)
            .await;
        drop(alone);
        core.forget_handed();
        match done {
            Ok(_) => tracing::info!(partner = %progress.partner, "The partnership is wound up."),
            Err(error) => tracing::warn!(partner = %progress.partner, %error, "Winding up waits."),
        }
        core.govern.changed();
    }
    Ok(())
}

fn offboarding<'a>(
    core: &'a Core,
    bench: &'a Bench<'_>,
    agreements: &'a viaduct_governance::Agreements,
) -> Result<Offboarding<'a>, EngineError> {
    Ok(Offboarding {
        store: &*core.store,
        recorder: &*bench.desk.recorder,
        keys: &bench.book.keys,
        agreements,
        quarantine: core.govern.quarantine.as_ref().ok_or(EngineError::NoLedger)?,
        holds: &bench.holds,
        remote: &bench.hands,
        signer: bench.book.signer(),
    })
}

impl Engine {
    /// The legal holds that stand.
    ///
    /// # Errors
    ///
    /// When the store fails, or no ledger is kept.
    pub async fn holds(&self) -> Result<Vec<LegalHold>, EngineError> {
        Ok(self.desk()?.holds.list().await?)
    }

    fn desk(&self) -> Result<&Desk, EngineError> {
        self.core.govern.desk.as_ref().ok_or(EngineError::NoLedger)
    }

    /// Places a legal hold: what it covers is not deleted, whatever agreements say.
    ///
    /// # Errors
    ///
    /// If it covers nothing in particular, or no reason is given.
    pub async fn place_hold(&self, scope: Scope, reason: &str, by: &str) -> Result<LegalHold, EngineError> {
        let now = self.core.clock.now();
        Ok(self.desk()?.holds.place(scope, reason, by, now).await?)
    }

    /// Lifts a legal hold.
    ///
    /// # Errors
    ///
    /// If there is none, or no reason is given.
    pub async fn lift_hold(&self, id: &str, reason: &str, by: &str) -> Result<(), EngineError> {
        let now = self.core.clock.now();
        Ok(self.desk()?.holds.lift(id, reason, by, now).await?)
    }

    /// Deletes what is due now, as the hub does by itself from time to time.
    ///
    /// # Errors
    ///
    /// When the store fails, or no ledger is kept.
    pub async fn retain(&self) -> Result<RetentionReport, EngineError> {
        retain(&self.core).await
    }

    /// Everything about a person, on all networks.
    ///
    /// # Errors
    ///
    /// If no reason is given, or store or ledger fail.
    pub async fn export_subject(
        &self,
        ids: Vec<(NetworkName, PersonId)>,
        by: &str,
        reason: &str,
    ) -> Result<SubjectExport, EngineError> {
        let subject = Subject { ids };
        let bench = Bench::of(&self.core).await?;
        let register = self.core.govern.register();
        let ledger = match subject.query(&register, &bench.book.keys) {
            Some(query) => records(bench.book, query).await?,
            None => Vec::new(),
        };
        let now = self.core.clock.now();
        let rights = self.rights(&bench, &register)?;
        Ok(rights.export(&subject, ledger, by, reason, now).await?)
    }

    /// Erases what a person said and did, on all networks as far as they allow; what became of it.
    ///
    /// # Errors
    ///
    /// If no reason is given, or the store fails.
    pub async fn erase_subject(
        &self,
        ids: Vec<(NetworkName, PersonId)>,
        by: &str,
        reason: &str,
    ) -> Result<Tally, EngineError> {
        let bench = Bench::of(&self.core).await?;
        let register = self.core.govern.register();
        let now = self.core.clock.now();
        let rights = self.rights(&bench, &register)?;
        let done = rights.erase(&Subject { ids }, by, reason, now).await;
        self.core.forget_handed();
        Ok(done?)
    }

    /// Finds who is behind a pseudonym; one person asks, another grants it.
    ///
    /// # Errors
    ///
    /// If both are the same, no reason is given, or the store fails.
    pub async fn unmask(
        &self,
        tag: &Tag,
        asked_by: &str,
        granted_by: &str,
        reason: &str,
    ) -> Result<Option<(NetworkName, PersonId)>, EngineError> {
        let bench = Bench::of(&self.core).await?;
        let register = self.core.govern.register();
        let now = self.core.clock.now();
        let rights = self.rights(&bench, &register)?;
        Ok(rights.unmask(tag, asked_by, granted_by, reason, now).await?)
    }

    fn rights<'a>(
        &'a self,
        bench: &'a Bench<'_>,
        register: &'a viaduct_governance::Register,
    ) -> Result<SubjectRights<'a>, EngineError> {
        Ok(SubjectRights {
            store: &*self.core.store,
            recorder: &*bench.desk.recorder,
            keys: &bench.book.keys,
            register,
            quarantine: self.core.govern.quarantine.as_ref().ok_or(EngineError::NoLedger)?,
            holds: &bench.holds,
            mirrors: &bench.mirrors,
            remote: &bench.hands,
            own_days: bench.own_days,
        })
    }

    /// What the end of a partnership would do.
    ///
    /// # Errors
    ///
    /// If there is no such partner, or the store fails.
    pub async fn preview_offboarding(&self, name: &PartnerName) -> Result<Preview, EngineError> {
        let bench = Bench::of(&self.core).await?;
        let agreements = self.core.govern.agreements.as_ref().ok_or(EngineError::NoLedger)?;
        let offboarding = offboarding(&self.core, &bench, agreements)?;
        Ok(offboarding.preview(name, &bench.mirrors).await?)
    }

    /// Ends a partnership, from the beginning or from where it stopped: the signed certificate.
    ///
    /// # Errors
    ///
    /// When a network cannot be reached now (call it again; the hub goes on by itself as well), there is no such partner, or
    /// the store fails.
    pub async fn offboard(&self, name: &PartnerName, by: &str) -> Result<Certificate, EngineError> {
        let bench = Bench::of(&self.core).await?;
        let agreements = self.core.govern.agreements.as_ref().ok_or(EngineError::NoLedger)?;
        let offboarding = offboarding(&self.core, &bench, agreements)?;
        let alone = bench.desk.winding_up.lock().await;
        let done = offboarding.run(name, &bench.mirrors, by, &*self.core.clock).await;
        drop(alone);
        self.core.forget_handed();
        self.core.govern.changed();
        upkeep::look(&self.core).await?;
        Ok(done?)
    }
}

/// What the ledger has that answers a question.
async fn records(book: &Book, query: Query) -> Result<Vec<Record>, EngineError> {
    let (folder, key) = (book.folder().to_owned(), book.signer().verifier());
    let found = crate::ledger::blocking(move || find(Reader::open(&folder, &key)?, &query, RECORDS)).await;
    Ok(found?)
}
