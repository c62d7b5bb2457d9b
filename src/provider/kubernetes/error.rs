//! What goes wrong, and what that means for the next try.
//!
//! A refusal is told in the server's own words (`meta/v1` Status). Classes follow its HTTP code and reason (API conventions,
//! "HTTP Status codes").

use std::borrow::Cow;
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusCause;

pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::ErrorClass;

/// A failure before it is told what was attempted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered, and not as hoped.
    #[error("{}", words(.status))]
    Refused { status: Box<Status>, retry_after: Option<Duration> },
    /// No answer came, or only a part of one.
    #[error("{0}")]
    Unreachable(String),
    /// The credentials of the settings could not be had.
    #[error("{0}")]
    Credentials(String),
    /// Somebody else's object or fields stand in the way.
    #[error("{message}")]
    Conflict { message: String, remedy: Option<String> },
    /// It may succeed later.
    #[error("{0}")]
    NotYet(String),
    #[error("{message}")]
    Invalid { message: String, remedy: Option<String> },
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

/// A status as a sentence; the code where the server says nothing. What follows it on further lines is a dump of the object
/// in the server's own language, unless it is a list of errors.
fn words(status: &Status) -> String {
    let mut lines = status.message.trim().lines().map(str::trim);
    match lines.next().unwrap_or_default() {
        "" => format!("the server answered {} {}", status.code, status.reason),
        first if first.ends_with("errors:") => {
            let errors: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            format!("{first} {}", errors.join("; "))
        }
        first => first.to_owned(),
    }
}

impl Failure {
    /// The HTTP code of a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(status.code),
            _ => None,
        }
    }

    /// Whether the server says that there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code == 404 && status.reason == "NotFound")
    }

    /// Whether there is nothing at a path: the server knows no such type.
    pub fn is_not_served(&self) -> bool {
        self.code() == Some(404)
    }

    /// The list that is being paged has grown too old (410 Gone).
    pub fn is_expired(&self) -> bool {
        self.code() == Some(410)
    }

    /// Whether the object is not the one, or not in the version, that the request was bound to.
    pub fn is_outdated(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code == 409 && status.reason == "Conflict")
            && self.causes().is_empty()
    }

    pub fn is_denied(&self) -> bool {
        matches!(self.class(), ErrorClass::Denied)
    }

    /// Details of a refusal, one for each field or reason.
    pub fn causes(&self) -> &[StatusCause] {
        match self {
            Self::Refused { status, .. } => status.details.as_ref().map_or(&[], |details| &details.causes),
            _ => &[],
        }
    }

    fn class_of(&self, status: &Status, retry_after: Option<Duration>) -> ErrorClass {
        match status.code {
            401 => ErrorClass::Denied,
            // The namespace will be gone; then the object can be made again.
            403 if self.causes().iter().any(|cause| cause.reason == "NamespaceTerminating") => ErrorClass::Retryable,
            403 if status.message.contains("exceeded quota") => ErrorClass::Fatal,
            403 => ErrorClass::Denied,
            // Somebody wrote between our reading and writing.
            409 if status.reason == "Conflict" && self.causes().is_empty() => ErrorClass::Retryable,
            409 => ErrorClass::Conflict,
            410 => ErrorClass::Retryable,
            429 => ErrorClass::Throttled { retry_after },
            // Before 1.21, an object that does not fit its type.
            500 if status.message.starts_with("failed to create typed patch object") => ErrorClass::Fatal,
            500.. => ErrorClass::Retryable,
            _ => ErrorClass::Fatal,
        }
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { status, retry_after } => self.class_of(status, *retry_after),
            Self::Unreachable(_) | Self::NotYet(_) => ErrorClass::Retryable,
            Self::Credentials(_) => ErrorClass::Denied,
            Self::Conflict { .. } => ErrorClass::Conflict,
            Self::Invalid { .. } => ErrorClass::Fatal,
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        let remedy = match self {
            Self::Obstacle(obstacle) => return obstacle.remedy(),
            Self::Conflict { remedy, .. } | Self::Invalid { remedy, .. } => remedy.clone(),
            Self::Credentials(_) => Some("check the user of the target's `kubeconfig` and `context`".to_owned()),
            Self::Refused { status, .. } => match status.code {
                401 => Some("check the user of the target's `kubeconfig` and `context`".to_owned()),
                403 if self.is_denied() => Some(denied_remedy(&status.message)),
                403 if status.message.contains("exceeded quota") => {
                    Some("raise the ResourceQuota of the namespace, or ask for less".to_owned())
                }
                404 if status.message.starts_with("namespaces ") => {
                    Some("add the Namespace to the blueprint, or create it first".to_owned())
                }
                422 => Some("correct the field in the blueprint".to_owned()),
                _ => None,
            },
            Self::Unreachable(_) | Self::NotYet(_) => None,
        };
        remedy.map(Into::into)
    }
}

/// Which verb on what the user lacks, from the words of the authorizer: `User "ann" cannot list resource "pods" in API
/// group "" at the cluster scope`.
fn denied_remedy(message: &str) -> String {
    let between = |from: &str, to: &str| {
        let (_, rest) = message.split_once(from)?;
        rest.split_once(to).map(|(found, _)| found.to_owned())
    };
    let missing = || {
        let verb = between(" cannot ", " ")?;
        let resource = between("resource \"", "\"")?;
        let group = between("API group \"", "\"").filter(|group| !group.is_empty());
        let place = match between("in the namespace \"", "\"") {
            Some(namespace) => format!("in the namespace `{namespace}`"),
            None => "by a ClusterRole".to_owned(),
        };
        let of_group = group.map(|group| format!(" of `{group}`")).unwrap_or_default();
        Some(format!("grant the user of the kubeconfig the verb `{verb}` on `{resource}`{of_group}, {place}"))
    };
    missing().unwrap_or_else(|| "grant the user of the kubeconfig the missing rights".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: serde_json::Value) -> Failure {
        let status = serde_json::from_value(json).expect("a status");
        Failure::Refused { status, retry_after: None }
    }

    #[test]
    fn a_denial_names_the_verb_and_the_resource() {
        let message = r#"deployments.apps is forbidden: User "ann" cannot list resource "deployments" in API group "apps" at the cluster scope"#;
        let error = refused(serde_json::json!({"code": 403, "reason": "Forbidden", "message": message}))
            .into_provider_error("listing deployments");
        assert_eq!(error.class, ErrorClass::Denied);
        assert_eq!(
            error.remedy.as_deref(),
            Some("grant the user of the kubeconfig the verb `list` on `deployments` of `apps`, by a ClusterRole")
        );
    }

    #[test]
    fn classes_follow_the_code_and_the_reason() {
        let class = |json| refused(json).class();
        let json = serde_json::json!({"code": 409, "reason": "Conflict", "message": "the object has been modified"});
        assert_eq!(class(json), ErrorClass::Retryable);
        let causes =
            serde_json::json!({"causes": [{"reason": "FieldManagerConflict", "message": "", "field": ".data.a"}]});
        let json = serde_json::json!({"code": 409, "reason": "Conflict", "details": causes});
        assert_eq!(class(json), ErrorClass::Conflict);
        let causes = serde_json::json!({"causes": [{"reason": "NamespaceTerminating", "message": "", "field": ""}]});
        assert_eq!(class(serde_json::json!({"code": 403, "details": causes})), ErrorClass::Retryable);
        let json = serde_json::json!({"code": 403, "message": "pods \"a\" is forbidden: exceeded quota: small"});
        assert_eq!(class(json), ErrorClass::Fatal);
        assert_eq!(class(serde_json::json!({"code": 429})), ErrorClass::Throttled { retry_after: None });
        assert_eq!(class(serde_json::json!({"code": 503})), ErrorClass::Retryable);
        assert_eq!(class(serde_json::json!({"code": 422})), ErrorClass::Fatal);
    }
}
