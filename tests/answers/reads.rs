//! Whatever is not an answer makes what was asked unknown, never absent, and comes to an end.

use crate::support::said;
use std::time::Duration;

use futures::future::join_all;
use tenantry_core::model::resource::Observed;
use tenantry_provider::conformance::WriteUnguarded as _;

use crate::answers::faulty::{Faulty, Manner};
use crate::answers::subjects::{Subject, others, over_http};
use crate::support::create;

/// Far longer than all that is waited for on the way.
const PATIENCE: Duration = Duration::from_secs(60);

const JSON: &str = "application/json";

/// What is waited for, and given up.
const LATE: [Manner; 3] = [Manner::Silence, Manner::Stall, Manner::Drip];

const NO_ANSWERS: [Manner; 16] = [
    Manner::Cut,
    Manner::Hangup,
    Manner::Huge,
    Manner::Says(200, "text/html", "<html>Sign in</html>"),
    Manner::Says(200, JSON, ""),
    Manner::Says(200, JSON, "null"),
    Manner::Says(200, JSON, "[]"),
    Manner::Says(200, JSON, "{}"),
    Manner::Says(200, JSON, "{\"message\": \"hello\"}"),
    Manner::Says(200, JSON, "{\"items\": [], \"data\": null}"),
    Manner::Says(200, JSON, "{\"items\": {}, \"data\": {}, \"vhosts\": {}}"),
    Manner::Says(204, JSON, ""),
    Manner::Says(404, "text/html", "<html>No such site</html>"),
    Manner::Says(404, "text/plain", "default backend - 404"),
    Manner::Says(404, JSON, "{\"message\": \"no Route matched\"}"),
    Manner::Says(404, JSON, ""),
];

/// Observes and writes at a server, and returns what is wrong with the outcome.
async fn tried(subject: &Subject, manner: Manner) -> Option<String> {
    let server = Faulty::start(manner).await;
    let wrong = |what: String| Some(format!("{} at {manner:?}: {what}", subject.name));
    let trial = async {
        let reason = match subject.observe(server.port).await {
            Observed::Unknown(reason) => said(&reason),
            other => return wrong(format!("{other:?}")),
        };
        let is_late = LATE.iter().any(|late| format!("{late:?}") == format!("{manner:?}"));
        if is_late && !reason.contains(" within ") {
            return wrong(format!("the reason does not say how long was waited: {reason}"));
        }
        // Under load the beginning itself may come too late.
        let is_huge = matches!(manner, Manner::Huge);
        if is_huge && !reason.contains("longer than") && !reason.contains(" within ") {
            return wrong(format!("the reason does not say that the answer is too long: {reason}"));
        }
        if reason.contains("hunter2") {
            return wrong(format!("the reason has a password in it: {reason}"));
        }
        let error = match subject.writer(server.port).write(&[create(&subject.desired)]).await {
            Ok(_) => return wrong("it is written".to_owned()),
            Err(error) => error.error,
        };
        if error.is_in_doubt || !server.writes().is_empty() {
            return wrong(format!("{error}; sent were {:?}", server.writes()));
        }
        None
    };
    match tokio::time::timeout(PATIENCE, trial).await {
        Ok(outcome) => outcome,
        Err(_) => wrong("it does not come to an end".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_an_answer_is_unknown_and_writes_nothing() {
    let subjects = over_http();
    let mut trials = Vec::new();
    for subject in &subjects {
        trials.extend(LATE.iter().chain(&NO_ANSWERS).map(|manner| tried(subject, *manner)));
    }
    let wrong: Vec<String> = join_all(trials).await.into_iter().flatten().collect();
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_says_nothing_is_given_up() {
    let subjects = others();
    let wrong = join_all(subjects.iter().map(|subject| tried(subject, Manner::Silence))).await;
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
}
