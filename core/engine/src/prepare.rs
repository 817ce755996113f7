//! Before an event is sent: everybody on its way is asked, files are looked into, and it is planned for its destination.

use std::sync::Arc;
use std::time::Duration;

use viaduct_bridge::{Failure, Outcome};
use viaduct_compliance::{Approval, Cleared, Decision, Evidence, Filter, Finding, Verdict};
use viaduct_inspect::Inspector;
use viaduct_model::{
    Author, Content, DeliveryKey, Event, EventKind, MediaRef, Message, MessageId, Outbound, Place, Timestamp,
};
use viaduct_store::{DeliveryState, Lane, Seq};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::deliver::{Delivering, Prepared, Sending};
use crate::end::End;
use crate::govern::Terms;
use crate::ledger::Trace;
use crate::lists::Lists;
use crate::media::Sources;
use crate::plan::{Links, Plan, Resolved, is_long, plan};
use crate::routes::{Mirror, Versioned};
use crate::{disputing, labels, ledger, notices, overriding, quarantine, resolve};

/// Links for the planning of one event.
struct EventLinks<'a> {
    core: &'a Core,
    mirror: &'a Mirror,
    seq: Seq,
    /// A policy changed the text: the one in the journal is not for the destination.
    rewritten: bool,
}

impl Links for EventLinks<'_> {
    fn file(&self, media: &MediaRef, name: &str) -> Option<String> {
        self.core.links.link(media, name, self.core.clock.now())
    }

    fn text(&self) -> Option<MediaRef> {
        (!self.rewritten).then(|| crate::media::text_ref(&self.mirror.name, self.seq))
    }
}

/// What is known around an event.
fn outbound_context<'a>(
    now: Timestamp,
    previous: Option<&'a Message>,
    evidence: &'a [Evidence],
    (labels, encrypted): (&'a [String], bool),
) -> viaduct_compliance::Context<'a> {
    viaduct_compliance::Context {
        now: Some(now),
        previous,
        evidence,
        labels,
        encrypted,
    }
}

/// Everybody who is asked about one event on one way: the source's filters and the destination's, and what the agreements of
/// both say. Each judges the event as it came, and the strictest wins.
struct Asked<'a> {
    here: Arc<Terms>,
    there: Arc<Terms>,
    inward: &'a [Arc<Versioned>],
    outward: &'a [Arc<Versioned>],
    /// The policy rooms, whatever the way.
    lists: Vec<Arc<Versioned>>,
    approval: Option<&'a Approval<'a>>,
    /// The labels of the conversation.
    labels: Vec<String>,
    /// Whether the conversation's room is end-to-end encrypted.
    encrypted: bool,
}

/// What came of asking about an event as it came.
#[derive(Default)]
struct Examined {
    evidence: Vec<Evidence>,
    /// What was found in a text that becomes a link.
    findings: Vec<Finding>,
    /// Whether the text is another one now.
    rewritten: bool,
}

/// Why something did not cross.
struct Kept {
    state: DeliveryState,
    verdict: Verdict,
    /// Who wrote the rule.
    author: Option<String>,
    policies: Option<String>,
}

impl<'a> Asked<'a> {
    fn of(delivering: &Delivering<'a>, source: &Place, now: Timestamp, approval: Option<&'a Approval<'a>>) -> Self {
        let govern = &delivering.core.govern;
        let member = delivering.mirror.member(source);
        Self {
            here: govern.at(source, now),
            there: govern.at(&delivering.member.place, now),
            inward: member
                .map(|member| member.filters.inward.as_slice())
                .unwrap_or_default(),
            outward: &delivering.member.filters.outward,
            lists: Lists::all(delivering.core),
            approval,
            labels: labels::of(delivering.core, delivering.mirror),
            encrypted: delivering.mirror.is_encrypted(),
        }
    }

    /// The labels of the conversation, and whether it is encrypted.
    fn conversation(&self) -> (&[String], bool) {
        (&self.labels, self.encrypted)
    }

    fn all(&self) -> impl Iterator<Item = &Versioned> {
        let agreed = self.here.inward.iter().chain(&self.there.outward);
        let own = self.inward.iter().chain(self.outward);
        own.chain(agreed).chain(&self.lists).map(Arc::as_ref)
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.all().map(|versioned| &versioned.filter)
    }

    /// Which policies these are.
    fn policies(&self) -> Option<String> {
        ledger::policies_of(self.all().map(|versioned| &versioned.version))
    }

    fn decide(
        &self,
        context: &viaduct_compliance::Context<'_>,
        outbound: Outbound,
    ) -> Result<(Cleared<Outbound>, Vec<Finding>), Box<Kept>> {
        let to = outbound.to.clone();
        let decision = match self.approval {
            Some(approval) => viaduct_compliance::release_all(self.filters(), context, outbound, approval),
            None => viaduct_compliance::decide_all(self.filters(), context, outbound),
        };
        let (state, verdict) = match decision {
            Decision::Pass { outbound, findings } => {
                for finding in &findings {
                    tracing::info!(%to, rule = finding.rule, count = finding.count, "A policy found something and let it pass.");
                }
                return Ok((*outbound, findings));
            }
            Decision::Hold(verdict) => (DeliveryState::Held, verdict),
            Decision::Refuse(verdict) => (DeliveryState::Refused, verdict),
        };
        let author = self
            .filters()
            .flat_map(|filter| &filter.policy().rules)
            .find(|rule| rule.name == verdict.rule)
            .and_then(|rule| rule.author.clone());
        Err(Box::new(Kept {
            state,
            verdict,
            author,
            policies: self.policies(),
        }))
    }
}

/// Whether somebody said something by it and should know when it does not arrive.
pub(crate) fn is_said(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Message
            | EventKind::Edit
            | EventKind::Delete
            | EventKind::Reaction
            | EventKind::Topic
            | EventKind::Name
    )
}

impl Delivering<'_> {
    fn lane(&self) -> Lane {
        Lane {
            mirror: self.mirror.name.clone(),
            to: self.member.place.clone(),
        }
    }

    /// Why nothing may cross from a place to this destination today; none if something may.
    pub(crate) fn obstacle(&self, source: &Place) -> Option<String> {
        let now = self.core.clock.now();
        let there = self.core.govern.at(&self.member.place, now);
        let obstacle = there.obstacle.clone();
        obstacle.or_else(|| self.core.govern.at(source, now).obstacle.clone())
    }

    /// Plans and clears. Telling a sender about a refusal is done here, too.
    pub(crate) async fn prepare(&self, seq: Seq, event: Event, resolved: &Resolved) -> Prepared {
        self.approved(seq, event, resolved, None).await
    }

    /// The same for what was held and a second person has released.
    pub(crate) async fn approved(
        &self,
        seq: Seq,
        mut event: Event,
        resolved: &Resolved,
        approval: Option<&Approval<'_>>,
    ) -> Prepared {
        let now = self.core.clock.now();
        let asked = Asked::of(self, &event.place, now, approval);
        let mut trace = self.core.book.as_ref().map(|book| {
            let terms = (&*asked.here, &*asked.there);
            Trace::of(&book.keys, terms, self.mirror, &self.member.place, &event)
        });
        let previous = resolved.target.as_ref().and_then(|target| target.message.as_ref());
        let caps = self.side.session.capabilities(&self.member.place.channel);
        let is_long = event.content.message().is_some_and(|message| is_long(message, &caps));
        let mut examined = Examined::default();
        if is_long || self.looks_into(&event, &asked) {
            // What a file or a long text becomes at the destination, a link perhaps, is decided after it was judged itself.
            match self.examined(&mut event, previous, &asked).await {
                Some(Ok(found)) => examined = found,
                Some(Err(kept)) => return self.kept(seq, event, kept, trace).await,
                None => return Prepared::End(End::stopped()),
            }
        }
        let Examined {
            mut evidence,
            findings,
            rewritten,
        } = examined;
        let links = EventLinks {
            core: self.core,
            mirror: self.mirror,
            seq,
            rewritten,
        };
        let (content, parts) = match plan(&event.content, resolved, &caps, &self.member.forms, &links) {
            Plan::Send(content, parts) => (content, parts),
            Plan::Skip(reason) => {
                tracing::debug!(to = %self.member.place, reason, "Nothing is sent.");
                return Prepared::End(End::nothing());
            }
        };
        if content.message().is_none_or(|message| message.attachments.is_empty()) {
            evidence.clear();
        }
        let outbound = self.outbound(&event, content, parts);
        match asked.decide(
            &outbound_context(now, previous, &evidence, asked.conversation()),
            outbound,
        ) {
            Ok((cleared, found)) => {
                // Of a long text, what was found in all of it, and not in its beginning.
                let findings = if is_long { findings } else { found };
                if let Some(trace) = &mut trace {
                    trace.passed(asked.policies(), &findings);
                }
                if is_said(event.content.kind()) && !findings.is_empty() {
                    notices::advise(self.core, &self.lane(), seq, &event, &findings);
                }
                Prepared::Send(Box::new(Sending {
                    cleared,
                    trace,
                    source: event.place,
                    id: event.id,
                }))
            }
            Err(kept) => self.kept(seq, event, kept, trace).await,
        }
    }

    fn outbound(&self, event: &Event, content: Content, parts: Vec<MessageId>) -> Outbound {
        Outbound {
            key: DeliveryKey::derive(&event.place, &event.id, &self.member.place),
            to: self.member.place.clone(),
            from: event.place.clone(),
            author: Author {
                display: event.sender.name.clone(),
                person: event.sender.clone(),
            },
            at: event.at,
            content,
            parts,
        }
    }

    /// Whether somebody asks what is in an event's files.
    fn looks_into(&self, event: &Event, asked: &Asked<'_>) -> bool {
        let has_files = event
            .content
            .message()
            .is_some_and(|message| !message.attachments.is_empty());
        let scans = || self.core.inspector.as_ref().is_some_and(Inspector::scans);
        has_files && (scans() || asked.filters().any(Filter::looks_at_files))
    }

    /// Looks into an event's files and asks the filters about the event as it came; what passes has references to the very
    /// bytes that were looked into, and is without what a filter took away. Its text is asked about again, as it is sent. None if
    /// the hub is stopping.
    async fn examined(
        &self,
        event: &mut Event,
        previous: Option<&Message>,
        asked: &Asked<'_>,
    ) -> Option<Result<Examined, Box<Kept>>> {
        let mut outbound = self.outbound(event, event.content.clone(), Vec::new());
        let mut evidence = Vec::new();
        if let Some(inspector) = &self.core.inspector {
            let sources = Sources(self.core.clone());
            let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_mins(1));
            loop {
                match inspector.examine(&sources, &mut outbound).await {
                    Ok(found) => {
                        evidence = found;
                        break;
                    }
                    Err(later) => {
                        tracing::warn!(to = %self.member.place, error = %later, "A file could not be looked into yet.");
                        self.wait(&mut backoff, Failure::Retry(None)).await?;
                    }
                }
            }
        }
        let now = self.core.clock.now();
        let context = outbound_context(now, previous, &evidence, asked.conversation());
        let (cleared, findings) = match asked.decide(&context, outbound) {
            Ok(cleared) => cleared,
            Err(kept) => return Some(Err(kept)),
        };
        let passed = cleared.into_inner();
        let mut rewritten = false;
        if let (Some(message), Some(passed)) = (event.content.message_mut(), passed.content.message()) {
            if passed.attachments.len() != message.attachments.len() {
                // What was taken away is not there to be judged again.
                evidence.clear();
            }
            message.attachments.clone_from(&passed.attachments);
            rewritten = passed.body != message.body;
        }
        Some(Ok(Examined {
            evidence,
            findings,
            rewritten,
        }))
    }

    /// A policy kept an event back: its sender is told, and what is held is kept.
    async fn kept(&self, seq: Seq, event: Event, kept: Box<Kept>, trace: Option<Box<Trace>>) -> Prepared {
        let Kept {
            state,
            verdict,
            author,
            policies,
        } = *kept;
        tracing::info!(to = %self.member.place, rule = verdict.rule, ?state, "A policy kept an event back.");
        let outcome = match state {
            DeliveryState::Held if verdict.release.by_second_person() => Outcome::Held(verdict.reason.clone()),
            _ => Outcome::Refused(verdict.reason.clone()),
        };
        // Whoever merely came or went said nothing that could be missed.
        let said = is_said(event.content.kind());
        if said {
            self.tell(&event.place, &event.id, outcome);
        }
        let mut end = if state == DeliveryState::Held {
            // As it was accepted: files may have got other references on the way.
            let accepted = resolve::entry(&*self.core.store, &self.mirror.name, seq)
                .await
                .ok()
                .flatten();
            let accepted = accepted.unwrap_or(event);
            notices::review_wanted(self.core);
            let end = quarantine::hold(self.core, &self.lane(), seq, &accepted, &verdict, author.as_deref());
            if verdict.release.by_sender() && !end.step.is_empty() {
                overriding::offer(self.core, &self.lane(), seq, &accepted, &verdict);
            } else if said {
                disputing::offer(self.core, &self.lane(), seq, &accepted, &verdict);
            }
            end
        } else {
            if said {
                disputing::offer(self.core, &self.lane(), seq, &event, &verdict);
            }
            End::recorded(state, format!("{}: {}", verdict.rule, verdict.reason))
        };
        if end.step.entries.is_empty() {
            let trace = trace.map(|mut trace| {
                trace.kept(policies, &verdict);
                trace
            });
            end = end.traced(trace);
        } else {
            for entry in &mut end.step.entries {
                entry.policy.clone_from(&policies);
            }
        }
        Prepared::End(end)
    }
}
