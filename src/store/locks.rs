//! Locks, their leases and their tokens.
//!
//! Times are kept in microseconds: whole numbers that both databases compare alike, over the whole range of a timestamp.
//!
//! If a holder loses a lock, because its lease expired and another run took it or because somebody unlocked it, the holder is
//! recorded with the first owner that it lost, so that its next heartbeat finds out. That row stays until the holder releases
//! its locks; a holder that died leaves one row.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use tenantry_core::model::address::Owner;

use crate::connection::{Parameter, Row, Work};
use crate::contract::{Fence, FencingToken, Holder, Lock, StoreError};
use crate::journal::number;
use crate::records::put_locks;
use crate::{rows, statements};

/// Takes the locks of all owners, or of none.
///
/// `token` is the last one that was given out, and is raised by those given out here.
pub async fn take(
    work: &mut Work<'_>,
    token: &mut i64,
    owners: &[Owner],
    holder: &Holder,
    now: Timestamp,
    expires: Timestamp,
) -> Result<BTreeMap<Owner, FencingToken>, StoreError> {
    let attempted = "taking locks";
    let Holder { name, process } = holder;
    let existing = existing(work, attempted, owners).await?;
    for owner in owners {
        if let Some(lock) = existing.get(owner)
            && lock.holder != *name
            && lock.expires.as_microsecond() > now.as_microsecond()
        {
            return Err(StoreError::Locked(Box::new(lock.clone())));
        }
    }
    let taken_over = existing.into_values().filter(|lock| lock.holder != *name).collect::<Vec<_>>();
    note_lost(work, attempted, &taken_over).await?;
    let mut tokens = BTreeMap::new();
    for owner in owners {
        if !tokens.contains_key(owner) {
            *token += 1;
            tokens.insert(owner.clone(), FencingToken(number(*token)));
        }
    }
    let locks: Vec<Lock> = tokens
        .iter()
        .map(|(owner, token)| Lock {
            owner: owner.clone(),
            holder: name.clone(),
            process: process.clone(),
            token: *token,
            acquired: now,
            expires,
        })
        .collect();
    put_locks(work, attempted, &locks).await?;
    Ok(tokens)
}

/// Extends the lease of all locks of `holder`.
pub async fn renew(work: &mut Work<'_>, holder: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
    let attempted = "renewing locks";
    let now = now.as_microsecond();
    let owner = |row: Row<'_>| row.text(0).map(Owner::from);
    let mut lost = work.fetch(attempted, statements::LOST, [work.scope(), holder.into()], owner).await?;
    if lost.is_empty() {
        lost = work.fetch(attempted, statements::EXPIRED, [work.scope(), holder.into(), now.into()], owner).await?;
    }
    if let Some(owner) = lost.into_iter().next() {
        return Err(StoreError::LeaseLost(owner));
    }
    let until = until.as_microsecond();
    work.execute(attempted, statements::EXTEND, [work.scope(), holder.into(), now.into(), until.into()]).await
}

/// Releases all locks of `holder`.
pub async fn release(work: &mut Work<'_>, holder: &str) -> Result<(), StoreError> {
    work.execute("releasing locks", statements::RELEASE, [work.scope(), holder.into()]).await?;
    work.execute("releasing locks", statements::FORGET_LOST, [work.scope(), holder.into()]).await
}

/// Removes locks of one holder or of any, and returns them in the order of `owners`.
pub async fn remove(work: &mut Work<'_>, owners: &[Owner], holder: Option<&str>) -> Result<Vec<Lock>, StoreError> {
    let attempted = "removing locks";
    let mut existing = existing(work, attempted, owners).await?;
    existing.retain(|_, lock| holder.is_none_or(|holder| *lock.holder == *holder));
    let locks: Vec<Lock> = owners.iter().filter_map(|owner| existing.remove(owner)).collect();
    note_lost(work, attempted, &locks).await?;
    let list = list(work, attempted, &locks.iter().map(|lock| [&lock.owner]).collect::<Vec<_>>())?;
    work.execute(attempted, work.statements().remove_locks, [list, work.scope()]).await?;
    Ok(locks)
}

/// All locks whose lease has not expired.
pub async fn held(work: &mut Work<'_>, now: Timestamp) -> Result<Vec<Lock>, StoreError> {
    let mut locks =
        work.fetch("reading locks", statements::ALL_LOCKS, [work.scope(), now.as_microsecond().into()], lock).await?;
    locks.sort_by(|a, b| a.owner.cmp(&b.owner));
    Ok(locks)
}

/// The fences that are no longer valid, each with its owner.
pub async fn fallen<'f>(
    work: &mut Work<'_>,
    fences: impl Iterator<Item = &'f Fence> + Clone,
) -> Result<Vec<bool>, StoreError> {
    let attempted = "checking a lock";
    let owners: Vec<Owner> = fences.clone().map(|fence| fence.owner.clone()).collect();
    let existing = existing(work, attempted, &owners).await?;
    let stands = |fence: &Fence| {
        existing
            .get(&fence.owner)
            .is_some_and(|lock| lock.token == fence.token && lock.expires.as_microsecond() > fence.now.as_microsecond())
    };
    Ok(fences.map(|fence| !stands(fence)).collect())
}

async fn existing(
    work: &mut Work<'_>,
    attempted: &'static str,
    owners: &[Owner],
) -> Result<BTreeMap<Owner, Lock>, StoreError> {
    let distinct: BTreeSet<[&Owner; 1]> = owners.iter().map(|owner| [owner]).collect();
    let list = list(work, attempted, &distinct)?;
    let locks = work.fetch(attempted, work.statements().locks_of, [list, work.scope()], lock).await?;
    Ok(locks.into_iter().map(|lock| (lock.owner.clone(), lock)).collect())
}

async fn note_lost(work: &mut Work<'_>, attempted: &'static str, locks: &[Lock]) -> Result<(), StoreError> {
    let mut lost: BTreeMap<&str, &Owner> = BTreeMap::new();
    for lock in locks {
        lost.entry(&lock.holder).or_insert(&lock.owner);
    }
    let lost: Vec<(&str, String)> = lost.into_iter().map(|(holder, owner)| (holder, owner.to_string())).collect();
    let rows: Vec<_> = lost.iter().map(|(holder, owner)| [(*holder).into(), owner.into()]).collect();
    work.put(attempted, &rows::LOST, &rows).await
}

fn lock(row: Row<'_>) -> Result<Lock, sqlx::Error> {
    Ok(Lock {
        owner: Owner::from(row.text(0)?),
        holder: row.text(1)?.into(),
        // What cannot be read is of a later version, and its holder is not known to have ended.
        process: row.optional_text(2)?.and_then(|process| serde_json::from_str(process).ok()),
        token: FencingToken(number(row.integer(3)?)),
        acquired: time(row.integer(4)?)?,
        expires: time(row.integer(5)?)?,
    })
}

/// A time as the tables have it.
pub fn time(microseconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(microseconds).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A list as the statements take it.
pub fn list(
    work: &Work<'_>,
    attempted: &'static str,
    rows: &(impl serde::Serialize + ?Sized),
) -> Result<Parameter, StoreError> {
    serde_json::to_string(rows).map(Parameter::Text).map_err(|error| work.failed(attempted, error))
}
