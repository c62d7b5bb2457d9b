//! Whether a target is still the same system.
//!
//! A target's table says where a system is, but not which system answers there: with another key in an environment variable,
//! the same name leads to another account, in which everything would be created a second time. So each target is asked for its
//! *fingerprint*. The first run records it in the store, and later runs compare it.
//!
//! The plan, the run that applies it, and `doctor` all use this module. Everything that is read from a target that is, or may
//! be, another system counts as unknown: nothing is created or deleted for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::resource::{KindObservation, Observations, Observed, TargetName};
use crate::model::unknown::Unknown;

/// A text that distinguishes one system from every other of its type, and that a person recognizes, such as
/// `system 7713882554974850314, database app`.
///
/// It stays the same as long as the system does: it holds no version, and nothing that differs between connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// The fingerprint of a text; `None` if the text is empty, because it cannot distinguish systems.
    pub fn new(text: impl AsRef<str>) -> Option<Self> {
        let text = text.as_ref();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a target answers when it is asked for its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Is(Fingerprint),
    /// There is nothing yet that could have a fingerprint.
    Nothing,
    /// The credentials do not suffice, for this reason.
    Denied(Arc<str>),
    /// It could not be asked, for this reason. It may answer the next time.
    Unasked(Arc<str>),
}

/// The accepted fingerprint of a target; `None` for a target that was accepted without one.
pub type Accepted = Option<Fingerprint>;

/// How the answer of a target compares with what was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the accepted system.
    Same,
    /// It returns a fingerprint for the first time. The next run accepts it.
    New(Fingerprint),
    /// It has not been accepted yet and does not reveal its fingerprint. The next run accepts it without one.
    Untold(Arc<str>),
    /// There is nothing to compare or record.
    Nameless,
    /// It was accepted with a fingerprint, and its answer is denied now.
    Withheld { was: Fingerprint, reason: Arc<str> },
    /// It could not be asked.
    Unasked(Arc<str>),
    /// It is another system than the one that was accepted; `now` is `None` if the present system has no fingerprint.
    Other { was: Fingerprint, now: Option<Fingerprint> },
}

/// Compares the answer of a target with what was accepted.
pub fn standing(accepted: Option<&Accepted>, told: &Told) -> Standing {
    match (told, accepted) {
        (Told::Unasked(reason), _) => Standing::Unasked(reason.clone()),
        (Told::Is(now), Some(Some(was))) if now == was => Standing::Same,
        (Told::Is(now), Some(Some(was))) => Standing::Other { was: was.clone(), now: Some(now.clone()) },
        (Told::Is(now), None | Some(None)) => Standing::New(now.clone()),
        (Told::Nothing, Some(Some(was))) => Standing::Other { was: was.clone(), now: None },
        (Told::Nothing, None | Some(None)) => Standing::Nameless,
        (Told::Denied(reason), Some(Some(was))) => Standing::Withheld { was: was.clone(), reason: reason.clone() },
        (Told::Denied(_), Some(None)) => Standing::Same,
        (Told::Denied(reason), None) => Standing::Untold(reason.clone()),
    }
}

impl Standing {
    /// Why what was read of the target cannot be relied on; `None` if it can.
    fn doubt(&self, target: &TargetName) -> Option<Unknown> {
        let target = target.clone();
        match self {
            Self::Same | Self::New(_) | Self::Untold(_) | Self::Nameless => None,
            Self::Withheld { was, reason } => {
                Some(Unknown::FingerprintWithheld { target, was: was.clone(), message: reason.clone() })
            }
            Self::Unasked(reason) => Some(Unknown::FingerprintUnasked { target, message: reason.clone() }),
            Self::Other { .. } => Some(Unknown::OtherSystem { target }),
        }
    }
}

/// Every target that was asked, with its answer and what was accepted for it.
#[derive(Clone, Debug, Default)]
pub struct Systems(BTreeMap<TargetName, (Told, Option<Accepted>)>);

impl Systems {
    pub fn new(told: BTreeMap<TargetName, Told>, accepted: &BTreeMap<TargetName, Accepted>) -> Self {
        let with_accepted = |(target, told): (TargetName, Told)| {
            let accepted = accepted.get(&target).cloned();
            (target, (told, accepted))
        };
        Self(told.into_iter().map(with_accepted).collect())
    }

    /// Each target with its standing, in order of name.
    pub fn standings(&self) -> impl Iterator<Item = (&TargetName, Standing)> {
        self.0.iter().map(|(target, (told, accepted))| (target, standing(accepted.as_ref(), told)))
    }

    /// The targets that returned a fingerprint.
    pub fn told(&self) -> BTreeMap<TargetName, Fingerprint> {
        let told = self.0.iter().filter_map(|(target, (told, _))| match told {
            Told::Is(fingerprint) => Some((target.clone(), fingerprint.clone())),
            Told::Nothing | Told::Denied(_) | Told::Unasked(_) => None,
        });
        told.collect()
    }

    /// The targets that a run accepts because they have not been accepted before, with their fingerprints.
    pub fn to_accept(&self) -> BTreeMap<TargetName, Accepted> {
        let accept = |(target, standing): (&TargetName, Standing)| match standing {
            Standing::New(fingerprint) => Some((target.clone(), Some(fingerprint))),
            Standing::Untold(_) => Some((target.clone(), None)),
            _ => None,
        };
        self.standings().filter_map(accept).collect()
    }

    /// The first target that is another system than it was accepted as, or than `planned` has it.
    pub fn other_than(&self, planned: &BTreeMap<TargetName, Fingerprint>) -> Option<Other> {
        self.0.iter().find_map(|(target, (told, accepted))| {
            let other = |was: &Fingerprint, now| Other { target: target.clone(), was: was.clone(), now };
            if let Standing::Other { was, now } = standing(accepted.as_ref(), told) {
                return Some(other(&was, now));
            }
            match (told, planned.get(target)) {
                (Told::Is(now), Some(was)) if now != was => Some(other(was, Some(now.clone()))),
                (Told::Nothing, Some(was)) => Some(other(was, None)),
                _ => None,
            }
        })
    }

    /// Turns everything that was read from a target that is, or may be, another system into unknown. What was already unknown
    /// keeps its reason.
    pub fn distrust(&self, observed: &mut Observations) {
        let doubts: BTreeMap<&TargetName, Unknown> =
            self.standings().filter_map(|(target, standing)| Some((target, standing.doubt(target)?))).collect();
        for ((target, _), KindObservation { resources, incomplete }) in observed {
            let Some(doubt) = doubts.get(target) else { continue };
            for observed in resources.values_mut().filter(|observed| !matches!(observed, Observed::Unknown(_))) {
                *observed = Observed::Unknown(doubt.clone());
            }
            incomplete.get_or_insert_with(|| doubt.clone());
        }
    }
}

/// A target that is another system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    pub target: TargetName,
    pub was: Fingerprint,
    /// `None` if the present system has no fingerprint.
    pub now: Option<Fingerprint>,
}

impl fmt::Display for Other {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, was, now } = self;
        match now {
            Some(now) => write!(formatter, "target `{target}` was {was} and is now {now}"),
            None => {
                write!(formatter, "target `{target}` was {was}, and the system that answers now has no fingerprint")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resource::Present;

    fn fingerprint(text: &str) -> Fingerprint {
        Fingerprint::new(text).expect("a text")
    }

    fn told(text: &str) -> Told {
        Told::Is(fingerprint(text))
    }

    #[test]
    fn only_what_was_accepted_is_compared() {
        let (denied, unasked) = (Told::Denied("no".into()), Told::Unasked("down".into()));
        let (never, untold, one) = (None, Some(None), Some(Some(fingerprint("one"))));
        let stands = |accepted: &Option<Accepted>, told: &Told| standing(accepted.as_ref(), told);
        for accepted in [&never, &untold] {
            assert_eq!(stands(accepted, &told("two")), Standing::New(fingerprint("two")));
            assert_eq!(stands(accepted, &Told::Nothing), Standing::Nameless);
            assert_eq!(stands(accepted, &unasked), Standing::Unasked("down".into()));
        }
        assert_eq!(stands(&never, &denied), Standing::Untold("no".into()));
        assert_eq!(stands(&untold, &denied), Standing::Same);
        assert_eq!(stands(&one, &told("one")), Standing::Same);
        let other = |now| Standing::Other { was: fingerprint("one"), now };
        assert_eq!(stands(&one, &told("two")), other(Some(fingerprint("two"))));
        assert_eq!(stands(&one, &Told::Nothing), other(None));
        assert_eq!(stands(&one, &denied), Standing::Withheld { was: fingerprint("one"), reason: "no".into() });
        assert_eq!(stands(&one, &unasked), Standing::Unasked("down".into()));
    }

    #[test]
    fn nothing_that_was_read_of_another_system_is_believed() {
        let accepted = BTreeMap::from([("a".into(), Some(fingerprint("one"))), ("b".into(), Some(fingerprint("two")))]);
        let systems = Systems::new(BTreeMap::from([("a".into(), told("one")), ("b".into(), told("three"))]), &accepted);
        let seen = || KindObservation {
            resources: [
                ("absent".into(), Observed::Absent),
                ("present".into(), Observed::Present(Present::default())),
                ("unknown".into(), Observed::Unknown("down".into())),
            ]
            .into(),
            incomplete: None,
        };
        let mut observed = Observations::from([(("a".into(), "kind"), seen()), (("b".into(), "kind"), seen())]);
        systems.distrust(&mut observed);
        let of = |target: &str, identity: &str| observed[&(target.into(), "kind")].get(identity);
        assert_eq!(of("a", "absent"), Observed::Absent);
        for identity in ["absent", "present", "nobody asked for it"] {
            assert_eq!(of("b", identity), Observed::Unknown(Unknown::OtherSystem { target: "b".into() }), "{identity}");
        }
        assert_eq!(of("b", "unknown"), Observed::Unknown("down".into()));
    }

    #[test]
    fn a_run_accepts_what_was_not_accepted_before_and_nothing_else() {
        let accepted = BTreeMap::from([("known".into(), Some(fingerprint("one"))), ("silent".into(), None)]);
        let answers = BTreeMap::from([
            ("known".into(), told("two")),
            ("silent".into(), Told::Denied("no".into())),
            ("new".into(), told("three")),
            ("shy".into(), Told::Denied("no".into())),
            ("down".into(), Told::Unasked("down".into())),
        ]);
        let systems = Systems::new(answers, &accepted);
        let expected = BTreeMap::from([("new".into(), Some(fingerprint("three"))), ("shy".into(), None)]);
        assert_eq!(systems.to_accept(), expected);
    }

    #[test]
    fn a_run_compares_with_what_was_accepted_and_with_what_was_planned() {
        let planned = BTreeMap::from([("a".into(), fingerprint("one"))]);
        let other = |answer: Told, accepted: &[(&str, &str)]| {
            let accepted = accepted.iter().map(|(target, text)| ((*target).into(), Some(fingerprint(text))));
            let systems = Systems::new(BTreeMap::from([("a".into(), answer)]), &accepted.collect());
            systems.other_than(&planned).map(|other| other.to_string())
        };
        assert_eq!(other(told("one"), &[]), None);
        assert_eq!(other(Told::Unasked("down".into()), &[("a", "one")]), None);
        assert_eq!(other(told("two"), &[]).as_deref(), Some("target `a` was one and is now two"));
        // Accepted by a person since the plan was made: it is still not what was planned for.
        assert_eq!(other(told("two"), &[("a", "two")]).as_deref(), Some("target `a` was one and is now two"));
        assert_eq!(other(told("one"), &[("a", "two")]).as_deref(), Some("target `a` was two and is now one"));
    }
}
