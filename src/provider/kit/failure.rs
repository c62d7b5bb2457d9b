//! What goes wrong, and how it is told.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tenantry_provider::contract::{ErrorClass, LeaseLost, ProviderError};
use tenantry_provider::timeouts::seconds;
use tenantry_transport::tls::Unverified;

/// What keeps a request from being done, whatever the target is. A provider's own failures hold it beside what its server
/// says.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Obstacle {
    /// Another resource, or a change by somebody else, conflicts with the step.
    #[error("{0}")]
    Conflict(String),
    /// Something blocks the step for a moment, such as a lock; it may succeed later.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Invalid(String),
    #[error("no answer within {}", seconds(*.0))]
    Late(Duration),
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    #[error(transparent)]
    Certificate(#[from] Unverified),
}

impl Obstacle {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::Busy(_) | Self::Late(_) => ErrorClass::Retryable,
            Self::Invalid(_) | Self::LeaseLost(_) | Self::Certificate(_) => ErrorClass::Fatal,
        }
    }

    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Certificate(unverified) => Some(unverified.remedy().into()),
            _ => None,
        }
    }
}

/// A provider's own failure, before it is told what was attempted.
pub trait Failed: Display + From<Obstacle> + Sized + Send + Sync {
    /// What the failure means for the next try.
    fn class(&self) -> ErrorClass;

    /// What the user can do about it, where that is known.
    fn remedy(&self) -> Option<Cow<'static, str>>;

    /// Another resource, or a change by somebody else, conflicts with the step.
    fn conflict(why: impl Into<String>) -> Self {
        Obstacle::Conflict(why.into()).into()
    }

    /// Something blocks the step for a moment, such as a lock; it may succeed later.
    fn busy(why: impl Into<String>) -> Self {
        Obstacle::Busy(why.into()).into()
    }

    /// It cannot be done, however often it is tried.
    fn invalid(why: impl Into<String>) -> Self {
        Obstacle::Invalid(why.into()).into()
    }

    fn late(within: Duration) -> Self {
        Obstacle::Late(within).into()
    }

    /// The conflict of an update whose resource is gone.
    fn vanished() -> Self {
        Self::conflict("it no longer exists; plan again")
    }

    fn into_provider_error(self, attempted: impl Into<String>) -> ProviderError {
        let error = ProviderError::new(self.class(), attempted, &self);
        match self.remedy() {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }

    /// Why something is unknown, with what can be done about it.
    fn into_reason(self, attempted: impl Into<String>) -> Arc<str> {
        let error = self.into_provider_error(attempted);
        match &error.remedy {
            Some(remedy) => format!("{error}; {remedy}").into(),
            None => error.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Trouble;

    #[test]
    fn a_failure_is_told_with_what_was_attempted_and_what_can_be_done() {
        let told = Trouble::Login.into_provider_error("reading users");
        assert_eq!(
            (told.class, told.to_string(), told.remedy.as_deref()),
            (ErrorClass::Denied, "reading users: no such user".to_owned(), Some("check the user"))
        );
        assert_eq!(&*Trouble::Login.into_reason("reading users"), "reading users: no such user; check the user");
        assert_eq!(
            &*Trouble::late(Duration::from_millis(1500)).into_reason("asking"),
            "asking: no answer within 1.5 s"
        );
    }

    #[test]
    fn what_every_provider_meets_has_one_class() {
        assert_eq!(Trouble::vanished().class(), ErrorClass::Conflict);
        assert_eq!(Trouble::busy("a lock").class(), ErrorClass::Retryable);
        assert_eq!(Trouble::late(Duration::ZERO).class(), ErrorClass::Retryable);
        assert_eq!(Trouble::invalid("no name").class(), ErrorClass::Fatal);
        assert_eq!(Trouble::from(Obstacle::from(LeaseLost(String::new()))).class(), ErrorClass::Fatal);
    }
}
