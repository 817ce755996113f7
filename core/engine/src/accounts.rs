//! What the hub gives account of: a month with a partner, rules that senders call wrong, what a breach concerns, what is
//! processed. All of it comes from the ledger and the agreements; no contents are read.

use viaduct_audit::{Entry, LedgerError, Reader};
use viaduct_governance::{
    Disputed, Gathering, GovernanceError, Incident, Month, Partner, PartnerName, PartnerReport, Readers, disputed,
    processing_record,
};
use viaduct_model::{Language, Timestamp};

use crate::ledger::Book;
use crate::notices::notice_of;
use crate::{Engine, EngineError, ledger};

impl Engine {
    /// What happened with a partner in a month.
    ///
    /// # Errors
    ///
    /// If there is no such partner, no ledger is kept, or it cannot be read.
    pub async fn partner_report(&self, name: &PartnerName, month: Month) -> Result<PartnerReport, EngineError> {
        let partner = self.known_partner(name)?;
        let readers = self.readers(name).await?;
        let held = self.held().await?;
        let (name, now) = (name.clone(), self.core.clock.now());
        self.read_ledger(move |reader| {
            let mut gathering = Gathering::new(&name, &partner, month);
            for record in reader {
                gathering.take(&record?.entry);
            }
            Ok(gathering.report(readers, &held, now))
        })
        .await
    }

    /// The rules that senders call wrong, since a time; the most often called so first.
    ///
    /// # Errors
    ///
    /// If no ledger is kept, or it cannot be read.
    pub async fn disputed(&self, since: Timestamp) -> Result<Vec<Disputed>, EngineError> {
        self.read_ledger(move |reader| disputed(reader, since)).await
    }

    /// What a breach at a partner concerns, within an interval. That it was exported is in the ledger before this returns.
    ///
    /// # Errors
    ///
    /// If there is no such partner, no reason is given, no ledger is kept, or it cannot be read.
    pub async fn incident(
        &self,
        name: &PartnerName,
        (from, until): (Timestamp, Timestamp),
        by: &str,
        reason: &str,
    ) -> Result<Incident, EngineError> {
        let partner = self.known_partner(name)?;
        let (name, now) = (name.clone(), self.core.clock.now());
        let incident = self
            .read_ledger(move |reader| {
                let entries = reader.map(|record| record.map(|record| record.entry));
                Incident::of::<LedgerError>((&name, &partner), (from, until), entries, now)
            })
            .await?;
        let entry: Entry = incident.exported(&self.book()?.keys, by, reason)?;
        self.core.note(vec![entry]).await?;
        Ok(incident)
    }

    /// The record of processing activities, from the agreements as they stand.
    pub fn processing_record(&self, language: Language) -> String {
        processing_record(&self.core.govern.register(), self.core.clock.now(), language)
    }

    fn known_partner(&self, name: &PartnerName) -> Result<Partner, EngineError> {
        let register = self.core.govern.register();
        let partner = register.partner(name).cloned();
        Ok(partner.ok_or_else(|| GovernanceError::NoPartner(name.clone()))?)
    }

    /// How many have read the notices of a partner's rooms.
    async fn readers(&self, name: &PartnerName) -> Result<Vec<Readers>, EngineError> {
        let register = self.core.govern.register();
        let Some(desk) = &self.core.govern.desk else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for mirror in self.core.routes().mirrors() {
            let mut places = mirror.members.iter().map(|member| &member.place);
            let theirs = places.any(|place| register.covering(place).any(|(known, _)| known == name));
            let Some(notice) = notice_of(&self.core, mirror).filter(|_| theirs) else {
                continue;
            };
            all.push(Readers {
                count: desk.notices.readers(&mirror.name, &notice).await?,
                mirror: mirror.name.clone(),
                version: notice.version,
            });
        }
        all.sort_by(|a, b| a.mirror.cmp(&b.mirror));
        Ok(all)
    }

    fn book(&self) -> Result<&Book, EngineError> {
        self.core.book.as_ref().ok_or(EngineError::NoLedger)
    }

    /// Reads the ledger, where that may take its time.
    async fn read_ledger<T: Send + 'static>(
        &self,
        read: impl FnOnce(Reader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let book = self.book()?;
        let (folder, key) = (book.folder().to_owned(), book.signer().verifier());
        Ok(ledger::blocking(move || read(Reader::open(&folder, &key)?)).await?)
    }
}
