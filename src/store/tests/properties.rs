//! Promise 5, on random sequences of everything that can happen to locks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOLDERS: [&str; 3] = ["one", "two", "three"];
const OWNERS: [&str; 3] = ["estate", "acme", "tier:pro"];
const LEASE: i64 = 60;

#[derive(Clone, Debug)]
enum Event {
    Lock { holder: usize, owners: Vec<usize> },
    Wait { seconds: i64 },
    Renew { holder: usize },
    Release { holder: usize },
    Unlock { owner: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let holder = 0..HOLDERS.len();
    let owner = 0..OWNERS.len();
    prop_oneof![
        3 => (holder.clone(), proptest::sample::subsequence(vec![0, 1, 2], 1..=3))
            .prop_map(|(holder, owners)| Event::Lock { holder, owners }),
        3 => (1..LEASE).prop_map(|seconds| Event::Wait { seconds }),
        2 => holder.clone().prop_map(|holder| Event::Renew { holder }),
        1 => holder.prop_map(|holder| Event::Release { holder }),
        1 => owner.prop_map(|owner| Event::Unlock { owner }),
    ]
}

/// What the contract says, in the simplest words.
#[derive(Default)]
struct Model {
    now: i64,
    /// Holder, token and end of the lease by owner.
    locks: BTreeMap<usize, (usize, FencingToken, i64)>,
    /// The last token that each holder was given for each owner.
    given: BTreeMap<(usize, usize), FencingToken>,
    /// Holders from whom a lock was taken.
    robbed: [bool; HOLDERS.len()],
    highest: FencingToken,
}

impl Model {
    fn valid(&self, owner: usize) -> Option<(usize, FencingToken)> {
        self.locks.get(&owner).filter(|(_, _, expires)| *expires > self.now).map(|(holder, token, _)| (*holder, *token))
    }

    async fn happen(&mut self, store: &dyn Store, event: &Event) {
        match event {
            Event::Wait { seconds } => self.now += seconds,
            Event::Lock { holder, owners } => {
                let names: Vec<_> = owners.iter().map(|owner| Owner::from(OWNERS[*owner])).collect();
                let now = time(self.now);
                let lease = SignedDuration::from_secs(LEASE);
                let locked =
                    store.lock(&LockRequest { owners: &names, holder: &HOLDERS[*holder].into(), now, lease }).await;
                let taken = owners.iter().find(|owner| self.valid(**owner).is_some_and(|(other, _)| other != *holder));
                match (taken, locked) {
                    (Some(owner), Err(StoreError::Locked(lock))) => {
                        assert_eq!(lock.owner, Owner::from(OWNERS[*owner]), "the first that is taken");
                    }
                    (None, Ok(tokens)) => {
                        let highest = self.highest;
                        for owner in owners {
                            let token = tokens[&Owner::from(OWNERS[*owner])];
                            assert!(token > highest, "tokens only grow");
                            self.highest = self.highest.max(token);
                            self.given.insert((*holder, *owner), token);
                            let before = self.locks.insert(*owner, (*holder, token, self.now + LEASE));
                            if let Some((before, ..)) = before.filter(|(before, ..)| before != holder) {
                                self.robbed[before] = true;
                            }
                        }
                    }
                    (taken, locked) => panic!("{taken:?} was taken, and the answer is {locked:?}"),
                }
            }
            Event::Renew { holder } => {
                let renewed = store.renew(HOLDERS[*holder], time(self.now), time(self.now + LEASE)).await;
                let late = self.locks.values().any(|(by, _, expires)| by == holder && *expires <= self.now);
                if late || self.robbed[*holder] {
                    assert!(matches!(renewed, Err(StoreError::LeaseLost(_))), "{renewed:?}");
                    return;
                }
                renewed.expect("every lock is still held");
                let held = self.locks.values_mut().filter(|(by, ..)| by == holder);
                held.for_each(|(_, _, expires)| *expires = self.now + LEASE);
            }
            Event::Release { holder } => {
                store.release(HOLDERS[*holder]).await.expect("releases");
                self.locks.retain(|_, (by, ..)| by != holder);
                self.robbed[*holder] = false;
            }
            Event::Unlock { owner } => {
                let removed =
                    store.unlock(&unlock(&owners(&[OWNERS[*owner]]), time(self.now), "me")).await.expect("unlocks");
                let expected = self.locks.remove(owner);
                assert_eq!(removed.len(), usize::from(expected.is_some()));
                if let Some((holder, ..)) = expected {
                    self.robbed[holder] = true;
                }
            }
        }
    }

    /// Everybody tries to write with every token that was ever theirs: one of them at most may, by owner.
    async fn check(&self, store: &dyn Store) {
        let held = store.locks(time(self.now)).await.expect("reads");
        let held: Vec<_> = held.iter().map(|lock| (lock.owner.to_string(), lock.holder.to_string())).collect();
        let expected = (0..OWNERS.len())
            .filter_map(|owner| self.valid(owner).map(|(holder, _)| (OWNERS[owner].into(), HOLDERS[holder].into())));
        let mut expected: Vec<(String, String)> = expected.collect();
        expected.sort_by_key(|(owner, _)| Owner::from(owner.as_str()));
        assert_eq!(held, expected);

        let attempts = self.given.iter().map(|((holder, owner), token)| async move {
            let fence = Fence { run: RunId(1), owner: Owner::from(OWNERS[*owner]), token: *token, now: time(self.now) };
            let written = store.begin(&fence, &[begun(&format!("{}/x", OWNERS[*owner]), token.0)]).await;
            (*holder, *owner, *token, written)
        });
        for (holder, owner, token, written) in futures::future::join_all(attempts).await {
            let may = self.valid(owner) == Some((holder, token));
            assert_eq!(written.is_ok(), may, "{} for {}: {written:?}", HOLDERS[holder], OWNERS[owner]);
        }
    }
}

fn run(place: &Place, runtime: &tokio::runtime::Runtime, events: &[Event]) {
    runtime.block_on(async {
        let store = place.writing().await;
        let mut model = Model::default();
        for event in events {
            model.happen(&*store, event).await;
            model.check(&*store).await;
        }
        store.verify_journal().await.expect("holds");
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nobody_writes_but_the_one_holder_in_sqlite(events in prop::collection::vec(event(), 1..25)) {
        run(&Place::sqlite(), &runtime(), &events);
    }
}

#[test]
fn nobody_writes_but_the_one_holder_in_postgres() {
    let runtime = runtime();
    let Some(place) = runtime.block_on(Place::postgres()) else { return };
    runtime.block_on(place.remove());
    let config = ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(events in prop::collection::vec(event(), 1..25))| {
        let Some(place) = runtime.block_on(Place::postgres()) else { return Ok(()) };
        run(&place, &runtime, &events);
        runtime.block_on(place.remove());
    });
}
