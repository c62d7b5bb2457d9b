//! Prefixes.
//!
//! One that is in place exists, whatever is below it: that costs nothing. One that is new, or that nobody wants any more, exists
//! while a key begins with it: for all of these together the keys are gone through once, and no further than until each is found.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::cmd;

use crate::error::Failure;
use crate::scan::Scan;
use crate::types::RedisKind;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_kit::{Answers, Asked, Subject};

pub async fn observe(connection: &mut MultiplexedConnection, asked: &Asked<'_, RedisKind>) -> Result<Answers, Failure> {
    let is_in_place = |subject: &Subject<'_>| subject.is_wanted() && subject.is_recorded;
    let prefix = |subject: &Subject<'_>| subject.text("prefix").unwrap_or_default().to_owned();
    let looked_for: HashSet<String> =
        asked.subjects.iter().filter(|subject| !is_in_place(subject)).map(prefix).collect();
    let found = match looked_for.is_empty() {
        true => {
            cmd("PING").query_async::<String>(connection).await?;
            HashSet::new()
        }
        false => filled(connection, &looked_for).await?,
    };
    let answers = asked.subjects.iter().map(|subject| {
        let observed = match is_in_place(subject) || found.contains(&prefix(subject)) {
            true => Observed::Present(Present {
                spec: Arc::new(asked.description.canonical(subject.spec)),
                ..Present::default()
            }),
            false => Observed::Absent,
        };
        (subject.identity.clone(), observed)
    });
    Ok(answers.collect())
}

/// Those of some prefixes with which any key begins.
async fn filled(
    connection: &mut MultiplexedConnection,
    prefixes: &HashSet<String>,
) -> Result<HashSet<String>, Failure> {
    let mut left: HashMap<&[u8], &String> = prefixes.iter().map(|prefix| (prefix.as_bytes(), prefix)).collect();
    let lengths: HashSet<usize> = left.keys().map(|prefix| prefix.len()).collect();
    let mut scan = Scan::of(common(&left.keys().copied().collect::<Vec<_>>()));
    while !left.is_empty()
        && let Some(keys) = scan.next(connection).await?
    {
        for key in &keys {
            for length in &lengths {
                if let Some(beginning) = key.get(..*length) {
                    left.remove(beginning);
                }
            }
        }
    }
    let empty: HashSet<&String> = left.into_values().collect();
    Ok(prefixes.iter().filter(|prefix| !empty.contains(prefix)).cloned().collect())
}

/// With what all of them begin.
fn common<'a>(prefixes: &[&'a [u8]]) -> &'a [u8] {
    let Some((first, others)) = prefixes.split_first() else { return &[] };
    let shared = |other: &&[u8]| first.iter().zip(*other).take_while(|(one, other)| one == other).count();
    &first[..others.iter().map(shared).min().unwrap_or(first.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prefixes_share_is_what_is_scanned() {
        assert_eq!(common(&[b"t:acme:"]), b"t:acme:");
        assert_eq!(common(&[b"t:acme:", b"t:bolt:", b"t:acorn:"]), b"t:");
        assert_eq!(common(&[b"acme:", b"bolt:"]), b"");
    }
}
