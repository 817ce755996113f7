//! Does the jobs of winding up, each durable before the next.

use viaduct_audit::note::Signer;
use viaduct_audit::{Action, Entry};
use viaduct_model::{Event, Language, MessageId, MirrorName, Place, Timestamp};
use viaduct_store::{Op, Seq, Store};

use crate::agreements::Agreements;
use crate::certificate::{Certificate, KeyKind, Outcome};
use crate::date::{DAY, Day};
use crate::holds::{LegalHold, covering};
use crate::keys::Keys;
use crate::notices::contact;
use crate::quarantine::Quarantine;
use crate::records::{Item, MirrorPlaces, PAGE, Replaced, item, settled, statutory};
use crate::register::{Partner, Register};
use crate::remote::{Remote, Reply};
use crate::step::{Recorder, Step, keep, load, scan};
use crate::tally::{Basis, HERE};
use crate::texts::Text;
use crate::{GovernanceError, PartnerName};

use super::{Job, Preview, Progress, jobs};

const PROGRESS: &str = "offboard/";
const CERTIFICATE: &str = "certificate/";

/// What winding up works with.
#[derive(Debug, Clone, Copy)]
pub struct Offboarding<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// What commits steps.
    pub recorder: &'a dyn Recorder,
    /// The partners' keys.
    pub keys: &'a Keys,
    /// The agreements.
    pub agreements: &'a Agreements,
    /// What is held.
    pub quarantine: &'a Quarantine,
    /// The legal holds.
    pub holds: &'a [LegalHold],
    /// The networks.
    pub remote: &'a dyn Remote,
    /// Signs the certificate; the ledger's own signer will do.
    pub signer: &'a Signer,
}

impl Offboarding<'_> {
    /// Shows what winding up would do, without doing anything.
    ///
    /// # Errors
    ///
    /// If there is no such partner, or the store fails.
    pub async fn preview(&self, name: &PartnerName, mirrors: &[MirrorPlaces]) -> Result<Preview, GovernanceError> {
        let register = self.agreements.register();
        let partner = register
            .partner(name)
            .ok_or_else(|| GovernanceError::NoPartner(name.clone()))?;
        let mut shown = Vec::new();
        for job in jobs(&register, name, mirrors) {
            let count = match &job {
                Job::Redact { mirror, place } => match mirrors.iter().find(|known| known.name == *mirror) {
                    Some(mirror) => Some(self.count(&register, partner, mirror, place).await?),
                    None => None,
                },
                _ => None,
            };
            shown.push((job, count));
        }
        let held = self.quarantine.list().await?;
        let concerns = |hold: &&LegalHold| hold.scope.may_concern(name);
        Ok(Preview {
            partner: name.clone(),
            jobs: shown,
            held: held.iter().filter(|held| held.partner == *name).count() as u64,
            holds: self.holds.iter().filter(concerns).cloned().collect(),
        })
    }

    async fn count(
        &self,
        register: &Register,
        partner: &Partner,
        mirror: &MirrorPlaces,
        place: &Place,
    ) -> Result<(u64, u64), GovernanceError> {
        let (mut all, mut held, mut after) = (0, 0, Seq(0));
        loop {
            let page = self.carried(register, partner, mirror, place, after).await?;
            for (item, _) in &page.carried {
                all += 1;
                held += u64::from(covering(self.holds, item).is_some());
            }
            match page.last {
                Some(last) => after = last,
                None => return Ok((all, held)),
            }
        }
    }

    /// Winds a partner up, from the beginning or from where it stopped. Gives the certificate at the end.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::Later`] when a network cannot be reached now: call it again. If there is no such partner, or the
    /// store fails.
    pub async fn run(
        &self,
        name: &PartnerName,
        mirrors: &[MirrorPlaces],
        by: &str,
        clock: &dyn viaduct_model::Clock,
    ) -> Result<Certificate, GovernanceError> {
        if let Some(certificate) = self.certificate(name).await? {
            self.agreements.wind_up(name, true, by).await?;
            return Ok(certificate);
        }
        let mut progress = self.begin(name, mirrors, by, clock.now()).await?;
        while let Some(job) = progress.jobs.get(progress.done).cloned() {
            tracing::info!(partner = %name, %job, "Winding up goes on.");
            self.job(&mut progress, &job, clock.now()).await?;
        }
        let made = self.certificate(name).await?;
        made.ok_or_else(|| GovernanceError::invalid(format!("the certificate of {name} is missing")))
    }

    /// The certificate of a partner that was wound up.
    ///
    /// # Errors
    ///
    /// When the store fails or the record is damaged.
    pub async fn certificate(&self, name: &PartnerName) -> Result<Option<Certificate>, GovernanceError> {
        load(self.store, &format!("{CERTIFICATE}{name}")).await
    }

    /// What was begun and is not done, to go on with after a start.
    ///
    /// # Errors
    ///
    /// When the store fails or a record is damaged.
    pub async fn unfinished(&self) -> Result<Vec<Progress>, GovernanceError> {
        let all = scan::<Progress>(self.store, PROGRESS)
            .await?
            .into_iter()
            .map(|(_, progress)| progress);
        Ok(all.filter(|progress| progress.done < progress.jobs.len()).collect())
    }

    async fn begin(
        &self,
        name: &PartnerName,
        mirrors: &[MirrorPlaces],
        by: &str,
        now: Timestamp,
    ) -> Result<Progress, GovernanceError> {
        if let Some(progress) = load(self.store, &format!("{PROGRESS}{name}")).await? {
            return Ok(progress);
        }
        let register = self.agreements.register();
        register
            .partner(name)
            .ok_or_else(|| GovernanceError::NoPartner(name.clone()))?;
        let progress = Progress {
            partner: name.clone(),
            by: by.to_owned(),
            jobs: jobs(&register, name, mirrors),
            done: 0,
            cursor: Seq(0),
            outcome: Outcome {
                begun: now,
                ..Outcome::default()
            },
            mirrors: mirrors.to_vec(),
        };
        self.save(&progress, Step::default()).await?;
        Ok(progress)
    }

    /// Makes the progress durable, together with a step.
    async fn save(&self, progress: &Progress, step: Step) -> Result<(), GovernanceError> {
        let key = format!("{PROGRESS}{}", progress.partner);
        self.recorder.commit(step.with(keep(&key, Some(progress))?)).await
    }

    async fn job(&self, progress: &mut Progress, job: &Job, now: Timestamp) -> Result<(), GovernanceError> {
        let register = self.agreements.register();
        let name = progress.partner.clone();
        let partner = register
            .partner(&name)
            .ok_or_else(|| GovernanceError::NoPartner(name.clone()))?;
        let mut step = Step::default();
        match job {
            Job::Suspend => self.agreements.wind_up(&name, false, &progress.by).await?,
            Job::Notify { mirror, place } => {
                let values = [
                    ("partner", &*partner.agreement.organisation),
                    ("contact", &contact(&partner.agreement)),
                ];
                let texts = Language::ALL.map(|language| Text::Farewell.say(language, &values));
                let key = format!("offboard-{name}-{place}");
                let reply = self.remote.notify(mirror, place, &texts.join("\n\n"), &key).await;
                note(progress, place, "notice", reply)?;
                step.entries
                    .push(entry(Action::Notified, &name, Some(mirror), "winding up", now));
            }
            Job::Redact { mirror, place } => self.redact(progress, &register, partner, mirror, place, now).await?,
            Job::Dismiss { mirror, place } => {
                note(progress, place, "ghosts", self.remote.dismiss(mirror, place).await)?;
            }
            Job::Close { mirror, place } => {
                let told = match self.remote.close(mirror, place).await {
                    Reply::Done => {
                        progress.outcome.left.push(place.clone());
                        format!("{place} was left")
                    }
                    Reply::Refused(why) => {
                        let told = format!("{place} could not be left: {why}");
                        progress.outcome.not_left.push((place.clone(), why));
                        told
                    }
                    Reply::Later(why) => return Err(GovernanceError::Later(format!("{place}: {why}"))),
                };
                step.entries
                    .push(entry(Action::Configured, &name, Some(mirror), &told, now));
            }
            Job::DropTokens { network } => match self.remote.drop_tokens(network).await {
                Reply::Done => progress.outcome.tokens_gone.push(network.to_string()),
                Reply::Refused(why) => progress.outcome.tokens_kept.push((network.to_string(), why)),
                Reply::Later(why) => return Err(GovernanceError::Later(format!("{network}: {why}"))),
            },
            Job::Records { mirror } => self.records(progress, &register, partner, mirror, now).await?,
            Job::Quarantine => step = self.held(progress, now).await?,
            Job::Keys => self.keys(progress, partner, now).await?,
            Job::Certify => {
                let certificate = Certificate::sign(&name, partner, &progress.outcome, self.signer, now)?;
                step.ops
                    .push(keep(&format!("{CERTIFICATE}{name}"), Some(&certificate))?);
                step.entries
                    .push(entry(Action::Exported, &name, None, "certificate of deletion", now));
            }
        }
        progress.done += 1;
        progress.cursor = Seq(0);
        self.save(progress, step).await?;
        if *job == Job::Certify {
            self.agreements.wind_up(&name, true, &progress.by).await?;
        }
        Ok(())
    }

    async fn redact(
        &self,
        progress: &mut Progress,
        register: &Register,
        partner: &Partner,
        mirror: &MirrorName,
        place: &Place,
        now: Timestamp,
    ) -> Result<(), GovernanceError> {
        let Some(mirror) = progress.mirrors.iter().find(|known| known.name == *mirror).cloned() else {
            return Ok(());
        };
        let network = place.network.as_str();
        loop {
            let page = self.carried(register, partner, &mirror, place, progress.cursor).await?;
            let mut gone = 0;
            for (item, ids) in &page.carried {
                if let Some(hold) = covering(self.holds, item) {
                    progress.outcome.tally.retained(network, of_hold(hold), 1);
                    continue;
                }
                match self.remote.redact(&mirror.name, place, ids).await {
                    Reply::Done => gone += 1,
                    Reply::Refused(why) => progress.outcome.tally.refused(network, &why, 1),
                    Reply::Later(why) => return Err(GovernanceError::Later(format!("{place}: {why}"))),
                }
            }
            // A network without anything to redact has its line, too.
            progress.outcome.tally.deleted(network, gone);
            let Some(last) = page.last else { return Ok(()) };
            progress.cursor = last;
            let mut erased = entry(Action::Erased, &progress.partner, Some(&mirror.name), "winding up", now);
            erased.to = Some(place.clone());
            erased
                .findings
                .insert("messages".to_owned(), u32::try_from(gone).unwrap_or(u32::MAX));
            let step = if gone > 0 { Step::entry(erased) } else { Step::default() };
            self.save(progress, step).await?;
        }
    }

    /// A page of a journal: what was carried to a place, and has to go there.
    async fn carried(
        &self,
        register: &Register,
        partner: &Partner,
        mirror: &MirrorPlaces,
        place: &Place,
        after: Seq,
    ) -> Result<Carried, GovernanceError> {
        let page = self.store.journal(&mirror.name, after, PAGE).await?;
        let theirs = |place: &Place| !register.is_own(place) && partner.agreement.covers(place);
        let mut carried = Vec::new();
        let replaced = Replaced::default();
        for (seq, event) in &page {
            // At the partner's: what others said there through the hub. Elsewhere: what the partner's people said.
            if event.place == *place || theirs(&event.place) == theirs(place) {
                continue;
            }
            let ids = self.store.copies(&mirror.name, *seq, place).await?;
            if !ids.is_empty() {
                carried.push((item(register, mirror, &replaced, *seq, *seq, event), ids));
            }
        }
        Ok(Carried {
            carried,
            last: page.last().map(|(seq, _)| *seq),
        })
    }

    async fn records(
        &self,
        progress: &mut Progress,
        register: &Register,
        partner: &Partner,
        mirror: &MirrorName,
        now: Timestamp,
    ) -> Result<(), GovernanceError> {
        let Some(mirror) = progress.mirrors.iter().find(|known| known.name == *mirror).cloned() else {
            return Ok(());
        };
        let replaced = Replaced::of(self.store, &mirror.name).await?;
        let settled = settled(self.store, register, &mirror, now).await?;
        loop {
            let page = self.store.journal(&mirror.name, progress.cursor, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            let mut wanted = Vec::new();
            let theirs = |event: &Event| !register.is_own(&event.place) && partner.agreement.covers(&event.place);
            for (seq, event) in page.iter().filter(|(_, event)| theirs(event)) {
                let item = item(register, &mirror, &replaced, settled, *seq, event);
                match self.obstacle(register, &item, now) {
                    Some(basis) => progress.outcome.tally.retained(HERE, basis, 1),
                    None => wanted.push(*seq),
                }
            }
            progress.outcome.tally.deleted(HERE, wanted.len() as u64);
            progress.cursor = *last;
            let mut erased = entry(
                Action::Erased,
                &progress.partner,
                Some(&mirror.name),
                "winding up: own records",
                now,
            );
            let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
            erased.findings.insert("entries".to_owned(), count);
            let mut step = if count > 0 {
                Step::entry(erased)
            } else {
                Step::default()
            };
            step.ops.push(Op::Erase {
                mirror: mirror.name.clone(),
                seqs: wanted,
            });
            self.save(progress, step).await?;
        }
    }

    fn obstacle(&self, register: &Register, item: &Item, now: Timestamp) -> Option<Basis> {
        if let Some(hold) = covering(self.holds, item) {
            return Some(of_hold(hold));
        }
        if let Some((norm, until)) = statutory(register, item, now) {
            return Some(Basis::Statutory {
                norm: norm.to_owned(),
                until: Day::of(until),
            });
        }
        (!item.settled).then_some(Basis::Undelivered)
    }

    async fn held(&self, progress: &mut Progress, now: Timestamp) -> Result<Step, GovernanceError> {
        let mut step = Step::default();
        let concerns = |hold: &&LegalHold| hold.scope.may_concern(&progress.partner);
        let hold = self.holds.iter().find(concerns);
        let all = self.quarantine.list().await?;
        for held in all.into_iter().filter(|held| held.partner == progress.partner) {
            if let Some(hold) = hold {
                progress.outcome.tally.retained(HERE, of_hold(hold), 1);
                continue;
            }
            step = step.and(held.removed("winding up", now)?).with(Op::Forget {
                lane: held.lane.clone(),
                seq: held.seq,
            });
            progress.outcome.held += 1;
        }
        progress.outcome.tally.deleted(HERE, 0);
        Ok(step)
    }

    async fn keys(&self, progress: &mut Progress, partner: &Partner, now: Timestamp) -> Result<(), GovernanceError> {
        let name = progress.partner.clone();
        let (mut gone, mut kept) = (Vec::new(), Vec::new());
        let concerns = |hold: &&LegalHold| hold.scope.may_concern(&name);
        let days = partner.agreement.retention.ledger;
        if let Some(hold) = self.holds.iter().find(concerns) {
            kept.extend([KeyKind::Content, KeyKind::Pseudonyms].map(|key| (key, of_hold(hold))));
        } else {
            self.keys.destroy_content(&name, self.recorder, now).await?;
            gone.push(KeyKind::Content);
            if days == 0 {
                self.keys.destroy_pseudonyms(&name, self.recorder, now).await?;
                gone.push(KeyKind::Pseudonyms);
            } else {
                let until = Day::of(now.plus_millis(u64::from(days).saturating_mul(DAY)));
                kept.push((KeyKind::Pseudonyms, Basis::Ledger { until }));
            }
        }
        (progress.outcome.keys_gone, progress.outcome.keys_kept) = (gone, kept);
        Ok(())
    }
}

/// What was carried to a place, from one page of a journal.
struct Carried {
    carried: Vec<(Item, Vec<MessageId>)>,
    /// The last entry of the page; none if there are no more.
    last: Option<Seq>,
}

fn of_hold(hold: &LegalHold) -> Basis {
    Basis::Hold {
        hold: hold.id.clone(),
        reason: hold.reason.clone(),
    }
}

/// Takes note of a reply: what is refused is in the certificate, and what has to wait stops here.
fn note(progress: &mut Progress, place: &Place, what: &str, reply: Reply) -> Result<(), GovernanceError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused(why) => {
            progress
                .outcome
                .tally
                .refused(place.network.as_str(), &format!("{what}: {why}"), 1);
            Ok(())
        }
        Reply::Later(why) => Err(GovernanceError::Later(format!("{place}: {why}"))),
    }
}

fn entry(action: Action, partner: &PartnerName, mirror: Option<&MirrorName>, reason: &str, now: Timestamp) -> Entry {
    let mut entry = Entry::new(now, action);
    entry.partner = Some(partner.to_string());
    entry.mirror = mirror.cloned();
    entry.reason = Some(reason.to_owned());
    entry
}
