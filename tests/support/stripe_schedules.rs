//! Subscription schedules as Stripe's reference has them (<https://docs.stripe.com/api/subscription_schedules>), where the
//! replica has them otherwise: it wants the customer besides the subscription, takes what a managed subscription refuses,
//! counts periods and not durations, and has no clock that a test could turn.

use serde_json::{Value as Json, json};

use super::server::{Asked, Reply, pass_on};

const PATH: &str = "/v1/subscription_schedules";

/// Brings a request into the replica's form; or what Stripe answers in its place. `path` is that of the account.
pub async fn before(asked: &mut Asked, upstream: &str, path: &str) -> Option<Reply> {
    if asked.method != "POST" {
        return None;
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    let refused = |message: &str| {
        Some(Reply::json(400, &json!({"error": {"type": "invalid_request_error", "message": message}})))
    };
    let get = async |below: String| -> Json {
        let mut asked = asked.clone();
        asked.headers.retain(|(name, _)| name != "idempotency-key" && name != "content-type");
        let asked = Asked { method: "GET".to_owned(), path: format!("{path}{below}"), body: Vec::new(), ..asked };
        serde_json::from_slice(&pass_on(upstream, &asked).await.body).unwrap_or_default()
    };
    let has = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if let Some(id) = asked.path.strip_prefix("/v1/subscriptions/")
        && has("cancel_at_period_end").is_some()
        && get(format!("/v1/subscriptions/{id}")).await["schedule"].is_string()
    {
        return refused(
            "The subscription is managed by the subscription schedule, and updating any cancelation behavior directly is not allowed",
        );
    }
    if asked.path == PATH
        && let Some(subscription) = has("from_subscription")
    {
        if form.len() > 1 {
            return refused("You cannot set other parameters if `from_subscription` is set.");
        }
        let customer = get(format!("/v1/subscriptions/{subscription}")).await["customer"].clone();
        let more = [("customer".to_owned(), customer.as_str().unwrap_or_default().to_owned())];
        set(asked, form.into_iter().chain(more));
    } else if asked.path.starts_with(PATH) {
        let phases = form.iter().any(|(name, _)| name.starts_with("phases["));
        if phases && !form.iter().any(|(name, _)| name == "phases[0][start_date]") {
            return refused("The current phase cannot be changed; include it with its start_date.");
        }
        // Of the interval of the price, which is a period there.
        let kept = form.into_iter().filter_map(|(name, value)| {
            if let Some(phase) = name.strip_suffix("[duration][interval_count]") {
                return Some((format!("{phase}[iterations]"), "1".to_owned())).filter(|_| !value.is_empty());
            }
            let is_unknown = ["[duration]", "[discounts]", "[invoice_settings]"].iter().any(|part| name.contains(part));
            Some((name, value)).filter(|_| !is_unknown)
        });
        set(asked, kept.collect::<Vec<_>>().into_iter());
    }
    None
}

fn set(asked: &mut Asked, form: impl Iterator<Item = (String, String)>) {
    asked.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
}

/// Brings a schedule into Stripe's form: prices by id only, and the phase that a test has turned to.
pub fn complete(schedule: &mut serde_json::Map<String, Json>, turned: &[String]) {
    let phases = schedule.get_mut("phases").and_then(Json::as_array_mut);
    let mut last = Json::Null;
    for phase in phases.into_iter().flatten() {
        for item in phase["items"].as_array_mut().into_iter().flatten() {
            if let Some(id) = item["price"].get("id").cloned() {
                item["price"] = id;
            }
        }
        last = json!({"start_date": phase["start_date"], "end_date": phase["end_date"]});
    }
    let is_turned =
        schedule.get("id").and_then(Json::as_str).is_some_and(|id| turned.iter().any(|turned| turned == id));
    if is_turned {
        schedule.insert("current_phase".to_owned(), last);
    }
}
