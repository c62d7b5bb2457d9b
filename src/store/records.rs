//! All records of one scope, in memory.
//!
//! A migration and an import put the same rows into the same tables, and an export reads them back.

use std::cmp::Ordering;
use std::sync::Arc;

use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::lifecycle::{TenantRecord, TenantRecords};
use tenantry_core::model::document::Phase;
use tenantry_core::model::resource::{Applied, TargetName};

use crate::changes::Kept;
use crate::connection::{Parameter, Row, Work};
use crate::contract::{
    JournalEvent, JournalHead, KnownTarget, Lock, PhaseTransition, RecordMoved, Scope, StepBegun, StoreError,
};
use crate::inventory::Unpacker;
use crate::journal::{Line, Tip, number};
use crate::rows::{self, Cell};
use crate::statements;

/// Rows of the inventory that are fetched as one text of about a megabyte.
const INVENTORY_ROWS: i64 = 2_000;

/// Entries of the journal that are read or written in one go.
pub const JOURNAL_ROWS: i64 = 5_000;

/// Stands where a row of an earlier format comes from no entry that the journal has.
pub const NO_ENTRY: i64 = 0;

/// All records of one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    pub(crate) scope: Scope,
    /// The last fencing token that was given out.
    pub(crate) token: i64,
    /// The number of the last run.
    pub(crate) run: i64,
    pub(crate) lines: Vec<Line>,
    /// Each row with the number of the entry that it comes from, in order of address.
    pub(crate) inventory: Vec<(i64, Applied)>,
    /// Numbers of the entries of steps that were begun and never finished, in order.
    pub(crate) open_steps: Vec<i64>,
    /// In order of tenant.
    pub(crate) phases: Vec<(Arc<str>, Phase)>,
    /// In order of target.
    pub(crate) targets: Vec<(TargetName, KnownTarget)>,
    /// Never exported: a lock belongs to a running process.
    pub(crate) locks: Vec<Lock>,
}

impl Records {
    /// None yet.
    pub fn empty(scope: Scope) -> Self {
        Self {
            scope,
            token: 0,
            run: 0,
            lines: Vec::new(),
            inventory: Vec::new(),
            open_steps: Vec::new(),
            phases: Vec::new(),
            targets: Vec::new(),
            locks: Vec::new(),
        }
    }

    /// Their scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The head of the journal.
    pub fn head(&self) -> JournalHead {
        self.tip().head()
    }

    /// How many resources the inventory holds.
    pub fn resources(&self) -> usize {
        self.inventory.len()
    }

    pub(crate) fn tip(&self) -> Tip {
        match self.lines.last() {
            Some(last) => Tip { sequence: last.sequence, hash: last.hash.clone() },
            None => Tip::start(),
        }
    }

    /// Follows the chain of the journal, and finds in it what the other records come from.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] at the first entry that does not fit.
    pub(crate) fn verify(&self) -> Result<(), StoreError> {
        const WRITES: &[JournalEvent] = &[JournalEvent::StepEnded, JournalEvent::RecordMoved];
        const OPENS: &[JournalEvent] = &[JournalEvent::StepBegun];
        let mut tip = Tip::start();
        self.lines.iter().try_for_each(|line| tip.follow(line))?;
        let traces = self.inventory.iter().map(|(sequence, _)| (*sequence, WRITES));
        let opened = self.open_steps.iter().map(|sequence| (*sequence, OPENS));
        for (sequence, events) in traces.chain(opened).filter(|(sequence, _)| *sequence != NO_ENTRY) {
            if self.line(sequence).is_none_or(|line| !events.iter().any(|event| line.event == event.as_str())) {
                return Err(StoreError::Tampered { sequence: number(sequence) });
            }
        }
        Ok(())
    }

    fn line(&self, sequence: i64) -> Option<&Line> {
        self.lines.get(usize::try_from(sequence).ok()?.checked_sub(1)?)
    }

    /// Reads all records of the scope that `work` is on.
    pub(crate) async fn read(work: &mut Work<'_>, scope: Scope) -> Result<Self, StoreError> {
        let mut records = Self::empty(scope);
        let Some((tip, token, run)) = counters(work, "reading the end of the journal").await? else {
            return Ok(records);
        };
        (records.token, records.run) = (token, run);
        let attempted = "reading the journal";
        let mut last = 0;
        while last < tip.sequence {
            let parameters = [work.scope(), last.into(), tip.sequence.into(), JOURNAL_ROWS.into()];
            let lines = work.fetch(attempted, statements::ENTRIES_AFTER, parameters, line).await?;
            last = lines.last().map_or(tip.sequence, |line| line.sequence);
            records.lines.extend(lines);
        }
        records.inventory = inventory(work).await?.finish_with_sequences();
        let sequence = |row: Row<'_>| row.integer(1);
        let parameters = [work.scope()];
        records.open_steps = work.fetch("reading open steps", statements::OPEN_STEPS, parameters, sequence).await?;
        records.phases = phases(work).await?;
        records.phases.sort();
        records.targets = targets(work).await?;
        records.targets.sort_by(|(a, _), (b, _)| a.cmp(b));
        if records.tip() != tip {
            return Err(StoreError::Tampered { sequence: number(tip.sequence) });
        }
        Ok(records)
    }

    /// Writes all records into the scope that `work` is on, which has to be empty.
    pub(crate) async fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let attempted = "writing records";
        let lines: Vec<_> = self.lines.iter().map(Line::cells).collect();
        work.put(attempted, &rows::JOURNAL, &lines).await?;
        let mut kept = Vec::with_capacity(self.inventory.len());
        for (sequence, applied) in &self.inventory {
            kept.push((*sequence, Kept::new(applied).map_err(|error| work.failed(attempted, error))?));
        }
        let kept: Vec<_> = kept.iter().map(|(sequence, kept)| kept.cells(*sequence)).collect();
        work.put(attempted, &rows::INVENTORY, &kept).await?;
        let mut open = Vec::with_capacity(self.open_steps.len());
        for sequence in &self.open_steps {
            let line = self.line(*sequence).ok_or(StoreError::Tampered { sequence: number(*sequence) })?;
            let step: StepBegun = serde_json::from_str(&line.detail).map_err(|error| work.failed(attempted, error))?;
            open.push((step.address.to_string(), *sequence, &line.detail));
        }
        let open =
            open.iter().map(|(address, sequence, detail)| [address.into(), (*sequence).into(), (*detail).into()]);
        work.put(attempted, &rows::OPEN_STEPS, &open.collect::<Vec<_>>()).await?;
        put_phases(work, attempted, self.phases.iter().map(|(tenant, phase)| (&**tenant, *phase))).await?;
        put_targets(work, attempted, self.targets.iter().map(|(target, known)| (target, known))).await?;
        put_locks(work, attempted, &self.locks).await?;
        let Tip { sequence, hash } = self.tip();
        let parameters = [work.scope(), sequence.into(), hash.into(), self.token.into(), self.run.into()];
        work.execute("writing the end of the journal", statements::SET_HEAD, parameters).await
    }
}

/// Notes the phases that tenants are in.
pub async fn put_phases<'p>(
    work: &mut Work<'_>,
    attempted: &'static str,
    phases: impl Iterator<Item = (&'p str, Phase)>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = phases.map(|(tenant, phase)| [tenant.into(), phase.as_str().into()]).collect();
    work.put(attempted, &rows::PHASES, &rows).await
}

/// Notes which systems targets are.
pub async fn put_targets<'t>(
    work: &mut Work<'_>,
    attempted: &'static str,
    targets: impl Iterator<Item = (&'t TargetName, &'t KnownTarget)>,
) -> Result<(), StoreError> {
    let targets: Vec<_> = targets.map(|(target, known)| (target, known.texts())).collect();
    let rows: Vec<_> = targets
        .iter()
        .map(|(target, (fingerprint, since))| [Cell::from(&***target), (*fingerprint).into(), since.into()])
        .collect();
    work.put(attempted, &rows::TARGETS, &rows).await
}

/// Puts locks into the place of those that their owners had.
pub async fn put_locks(work: &mut Work<'_>, attempted: &'static str, locks: &[Lock]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(locks.len());
    for lock in locks {
        let process = lock.process.as_ref().map(serde_json::to_string).transpose();
        let process = process.map_err(|error| work.failed(attempted, error))?;
        let token = i64::try_from(lock.token.0).map_err(|error| work.failed(attempted, error))?;
        rows.push((lock, lock.owner.to_string(), process, token));
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|(lock, owner, process, token)| {
            let (acquired, expires) = (lock.acquired.as_microsecond(), lock.expires.as_microsecond());
            [
                owner.into(),
                (&*lock.holder).into(),
                process.as_ref().into(),
                (*token).into(),
                acquired.into(),
                expires.into(),
            ]
        })
        .collect();
    work.put(attempted, &rows::LOCKS, &cells).await
}

/// The number of a scope; `None` if it holds nothing yet.
pub async fn find_scope(work: &mut Work<'_>, scope: &Scope) -> Result<Option<i64>, StoreError> {
    let found = work.fetch("finding its records", statements::SCOPE, key(scope), |row| row.integer(0)).await?;
    Ok(found.into_iter().next())
}

/// The number of a scope, which is added if it does not exist.
pub async fn add_scope(work: &mut Work<'_>, scope: &Scope) -> Result<i64, StoreError> {
    let attempted = "adding an environment to it";
    work.execute(attempted, statements::ADD_SCOPE, key(scope)).await?;
    find_scope(work, scope).await?.ok_or_else(|| work.failed(attempted, "it was not added"))
}

/// No environment has a name without letters.
fn key(scope: &Scope) -> [Parameter; 2] {
    [(&*scope.estate).into(), scope.environment.as_deref().unwrap_or_default().into()]
}

/// End of the journal, last token and last run, by the store's own count, which is kept apart from the journal. Nothing of
/// a scope that holds nothing.
pub async fn counters(work: &mut Work<'_>, attempted: &'static str) -> Result<Option<(Tip, i64, i64)>, StoreError> {
    let parameters = [work.scope()];
    let counters = work
        .fetch(attempted, statements::COUNTERS, parameters, |row| {
            let tip = Tip { sequence: row.integer(0)?, hash: row.text(1)?.to_owned() };
            Ok((tip, row.integer(2)?, row.integer(3)?))
        })
        .await?;
    Ok(counters.into_iter().next())
}

/// Checks that the journal ends where the store's own count says.
///
/// # Errors
/// [`StoreError::Tampered`] where it was cut off, or goes on.
pub async fn check_end(work: &mut Work<'_>, attempted: &'static str, end: &Tip) -> Result<(), StoreError> {
    let last = |row: Row<'_>| Ok(Tip { sequence: row.integer(0)?, hash: row.text(1)?.to_owned() });
    let parameters = [work.scope()];
    let last = work.fetch(attempted, statements::LAST_ENTRY, parameters, last).await?;
    let last = last.into_iter().next().unwrap_or_else(Tip::start);
    if last == *end {
        return Ok(());
    }
    let sequence = match last.sequence.cmp(&end.sequence) {
        Ordering::Less => last.sequence + 1,
        Ordering::Equal => end.sequence,
        Ordering::Greater => end.sequence + 1,
    };
    Err(StoreError::Tampered { sequence: number(sequence) })
}

/// The inventory, still packed.
pub async fn inventory(work: &mut Work<'_>) -> Result<Unpacker, StoreError> {
    let attempted = "reading the inventory";
    let part = |row: Row<'_>| Ok((row.integer(0)?, row.integer(1)?, row.text(2)?.to_owned()));
    let mut unpacker = Unpacker::default();
    let mut last = 0;
    loop {
        let parameters = [work.scope(), last.into(), INVENTORY_ROWS.into()];
        let parts = work.fetch(attempted, statements::INVENTORY, parameters, part).await?;
        for (_, end, packed) in &parts {
            last = *end;
            unpacker.add(packed).map_err(|cause| work.failed(attempted, cause))?;
        }
        if parts.iter().all(|(rows, ..)| *rows < INVENTORY_ROWS) {
            break;
        }
    }
    for sequence in unpacker.moved() {
        let moved = |row: Row<'_>| {
            serde_json::from_str::<RecordMoved>(row.text(0)?).map_err(|error| sqlx::Error::Decode(error.into()))
        };
        let parameters = [work.scope(), sequence.into()];
        let found = work.fetch(attempted, statements::DETAIL_OF_ENTRY, parameters, moved).await?;
        // Without it the mark is one of another address, which is refused.
        let marked = found.into_iter().next().and_then(|moved| moved.applied.marked);
        unpacker.mark(sequence, marked);
    }
    Ok(unpacker)
}

pub async fn phases(work: &mut Work<'_>) -> Result<Vec<(Arc<str>, Phase)>, StoreError> {
    let phase = |row: Row<'_>| Ok((row.text(0)?.into(), word(row.text(1)?)?));
    let parameters = [work.scope()];
    work.fetch("reading phases", statements::PHASES, parameters, phase).await
}

/// How tenants were last applied, as the last entry of each says.
pub async fn tenants(work: &mut Work<'_>) -> Result<TenantRecords, StoreError> {
    let attempted = "reading the phases of tenants";
    let entry = |row: Row<'_>| Ok((row.text(0)?.into(), word(row.text(1)?)?, row.optional_text(2)?.map(str::to_owned)));
    let parameters = [work.scope()];
    let entries: Vec<(Arc<str>, Phase, Option<String>)> =
        work.fetch(attempted, statements::TENANTS, parameters, entry).await?;
    let mut records = TenantRecords::new();
    for (tenant, phase, detail) in entries {
        let entered: Option<PhaseTransition> = match detail {
            Some(detail) => Some(serde_json::from_str(&detail).map_err(|error| work.failed(attempted, error))?),
            None => None,
        };
        let record = entered.map(PhaseTransition::record).filter(|record| record.phase == phase);
        records.insert(tenant, record.unwrap_or_else(|| TenantRecord::of_phase(phase)));
    }
    Ok(records)
}

pub async fn targets(work: &mut Work<'_>) -> Result<Vec<(TargetName, KnownTarget)>, StoreError> {
    let known = |row: Row<'_>| {
        let since = row.text(2)?.parse().map_err(|error: jiff::Error| sqlx::Error::Decode(error.into()))?;
        Ok((row.text(0)?.into(), KnownTarget { fingerprint: Fingerprint::new(row.text(1)?), since }))
    };
    let parameters = [work.scope()];
    work.fetch("reading targets", statements::TARGETS, parameters, known).await
}

/// A word that stands for one of a few.
pub fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_value(text.into()).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// An entry of the journal.
pub fn line(row: Row<'_>) -> Result<Line, sqlx::Error> {
    Ok(Line {
        sequence: row.integer(0)?,
        run: row.optional_integer(1)?,
        at: row.text(2)?.to_owned(),
        event: row.text(3)?.to_owned(),
        owner: row.optional_text(4)?.map(str::to_owned),
        detail: row.text(5)?.to_owned(),
        hash: row.text(6)?.to_owned(),
    })
}
