//! An account of its own for each test, on the replica of `TENANTRY_STRIPE_URL`, behind a proxy that adds what the replica
//! lacks, counts, and can break.
//!
//! The replica has no meters, no webhook endpoints and no features, refuses metered prices, keeps tiers to itself, never throttles and does
//! not tell its account. The proxy has them from Stripe's public reference (<https://docs.stripe.com/api>).

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{Provider as _, Reader, Settings, Step, WriteError, Writer, Written};
use tenantry_stripe::Stripe;
use tokio::time::Instant;

use super::server::{Asked, Cut, Reply, Server, pass_on};
use super::stripe_schedules as schedules;
use super::{Workbench, create, mark, observable, observe, present};

const VARIABLE: &str = "TENANTRY_STRIPE_URL";

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It never arrives.
    LoseRequest,
    /// It is carried out, but the answer is lost.
    LoseAnswer,
    /// It is carried out, but the answer breaks off.
    HalfAnswer,
    /// It is answered with an error of this status.
    Refuse(u16),
    /// It is answered with a page for people.
    Html,
}

/// Whether the account slows its clients down. Counted and not timed, so that a fast client meets it like a slow one.
struct Throttle {
    passes: usize,
    left: usize,
    span: Duration,
    refused_until: Option<Instant>,
}

impl Throttle {
    fn refuses(&mut self) -> bool {
        let now = Instant::now();
        if self.refused_until.is_some_and(|until| now < until) {
            return true;
        }
        self.refused_until = (self.left == 0).then(|| now + self.span);
        self.left = self.left.checked_sub(1).unwrap_or(self.passes);
        self.refused_until.is_some()
    }
}

type Faults = Box<dyn Fn(&Asked) -> Fault + Send + Sync>;

#[derive(Default)]
struct State {
    asked: Vec<String>,
    throttled: usize,
    faults: Option<Faults>,
    throttle: Option<Throttle>,
    /// Objects of the kinds that the replica lacks, by path, in order.
    added: BTreeMap<String, Vec<Json>>,
    /// Answers by idempotency key, for those kinds.
    answers: HashMap<String, (Vec<u8>, Reply)>,
    /// What the replica does not tell of prices, by id.
    prices: HashMap<String, Json>,
    counter: usize,
    live: bool,
    /// Addresses that were emptied, which the replica refuses, with what was set since; by customer.
    addresses: HashMap<String, Json>,
    /// Schedules whose first phase has ended.
    turned: Vec<String>,
    /// The account's id.
    account: String,
}

/// An account.
pub struct World {
    pub bench: Workbench,
    pub url: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

/// Runs a test with an account of its own.
#[expect(clippy::disallowed_methods, reason = "the environment names the server")]
pub fn in_account(name: &str, test: impl AsyncFnOnce(&World)) {
    let Ok(url) = std::env::var(VARIABLE) else {
        let advice = format!("{name} is skipped: {VARIABLE} is not set; run `scripts/services up stripe`");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
        let _ = writeln!(std::io::stderr(), "{advice}");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let world = World::start(&url).await;
        test(&world).await;
    });
}

impl World {
    pub async fn start(url: &str) -> Self {
        let (upstream, path) = {
            let at = url.rfind("/worlds").expect("an address that ends with /worlds");
            (url[..at].to_owned(), format!("{}/test-{:016x}", &url[at..], rand::random::<u64>()))
        };
        let account = format!("acct_{:016x}", rand::random::<u64>());
        let state = Arc::new(Mutex::new(State { account, ..State::default() }));
        let shared = state.clone();
        let server = Server::start(move |mut asked| {
            let (state, upstream, path) = (shared.clone(), upstream.clone(), path.clone());
            async move {
                let fault = {
                    let mut state = state.lock().expect("no panic");
                    state.asked.push(format!("{} {}", asked.method, asked.path));
                    let is_throttled = state.throttle.as_mut().is_some_and(Throttle::refuses);
                    if is_throttled {
                        state.throttled += 1;
                        let error = json!({"error": {"type": "rate_limit_error", "message": "Too many requests"}});
                        let wait = state.throttle.as_ref().expect("it is throttled").span.as_secs_f64();
                        return Reply::json(429, &error).header("retry-after", format!("{}", wait.ceil()));
                    }
                    state.faults.as_ref().map_or(Fault::None, |faults| faults(&asked))
                };
                match fault {
                    Fault::LoseRequest => return Reply { cut: Cut::BeforeIt, ..Reply::empty(200) },
                    Fault::Refuse(status) => {
                        let error = json!({"error": {"type": "api_error", "message": "Something went wrong"}});
                        return Reply::json(status, &error);
                    }
                    Fault::Html => {
                        let page = b"<html>Sign in</html>".to_vec();
                        return Reply { body: page, ..Reply::empty(200) }.header("content-type", "text/html");
                    }
                    _ => {}
                }
                let added = state.lock().expect("no panic").added(&asked);
                let mut reply = match added {
                    Some(reply) => reply,
                    None => {
                        let extra = before(&mut asked);
                        state.lock().expect("no panic").address(&mut asked);
                        if let Some(refused) = schedules::before(&mut asked, &upstream, &path).await {
                            return refused;
                        }
                        asked.path = format!("{path}{}", asked.path);
                        let reply = pass_on(&upstream, &asked).await;
                        state.lock().expect("no panic").after(reply, extra)
                    }
                };
                reply.cut = match fault {
                    Fault::LoseAnswer => Cut::BeforeIt,
                    Fault::HalfAnswer => Cut::HalfWay,
                    _ => Cut::Nowhere,
                };
                reply
            }
        })
        .await;
        Self { bench: Workbench::new(&Stripe), url: server.url.clone(), state, _server: server }
    }

    /// Another account on the same replica.
    #[expect(clippy::disallowed_methods, reason = "the environment names the server")]
    pub async fn another() -> Self {
        Self::start(&std::env::var(VARIABLE).expect("there is one account already")).await
    }

    /// The account's id.
    pub fn account(&self) -> String {
        self.state().account.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn desired(&self, kind: &str, address: &str, spec: Json) -> Desired {
        self.bench.desired(&format!("stripe.{kind}"), address, spec)
    }

    pub fn settings(&self, key: &str) -> Settings {
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values: json!({"url": self.url, "requests_per_second": 100}).as_object().expect("an object").clone(),
            secrets: [("api_key".to_owned(), key.to_owned().into())].into(),
            concurrency: 8,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            folder: std::path::PathBuf::new(),
        }
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        Stripe.reader(&self.settings("sk_test_tenantry")).expect("valid settings")
    }

    /// A writer as a new process would have it.
    pub fn writer(&self) -> Box<dyn Writer> {
        Stripe.writer(&self.settings("sk_test_tenantry")).expect("valid settings")
    }

    pub async fn try_write(&self, steps: &[Step]) -> Result<Vec<Written>, WriteError> {
        self.writer().write(steps).await
    }

    pub async fn write(&self, step: Step) -> Written {
        match self.try_write(&[step]).await {
            Ok(mut written) => written.remove(0),
            Err(error) => panic!("step {}: {error} ({:?})", error.step, error.error.remedy),
        }
    }

    pub async fn create(&self, desired: &[&Desired]) {
        for desired in desired {
            self.write(create(desired)).await;
        }
    }

    pub async fn observe(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[desired], &[]).await;
        observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
    }

    /// Asserts that a plan would be empty.
    #[expect(clippy::unused_self, reason = "asked of the world, like everything else")]
    #[track_caller]
    pub fn assert_is(&self, desired: &Desired, observed: Observed) -> Present {
        let found = present(observed);
        let differences = tenantry_core::diff::compare(&desired.kind, &desired.spec, &found.spec, Some(&desired.spec));
        assert_eq!(differences, [], "{}: {:?} {:?}", desired.address, observable(desired), found.spec);
        if desired.kind.mark == tenantry_core::model::kind::MarkPlace::Target {
            assert_eq!(found.mark.as_ref(), Some(&mark(desired)), "{}", desired.address);
        } else {
            assert_eq!(found.mark, None);
        }
        found
    }

    /// Sends a request behind the provider's back; the parameters as a form.
    pub async fn by_hand(&self, method: &str, path: &str, parameters: &[(&str, &str)]) -> Json {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let is_read = method == "GET";
        let asked = Asked {
            method: method.to_owned(),
            path: format!("/v1/{path}"),
            query: if is_read { form.clone() } else { String::new() },
            headers: vec![
                ("authorization".to_owned(), "Bearer sk_test_tenantry".to_owned()),
                ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ],
            body: if is_read { Vec::new() } else { form.into_bytes() },
        };
        let reply = pass_on(&self.url, &asked).await;
        let json: Json = serde_json::from_slice(&reply.body).expect("JSON");
        assert!(reply.status < 300, "{method} {path}: {json}");
        json
    }

    /// Every object of a list, archived ones too.
    pub async fn all(&self, path: &str) -> Vec<Json> {
        let mut parameters = vec![("limit", "100")];
        if path == "subscriptions" {
            parameters.push(("status", "all"));
        }
        self.by_hand("GET", path, &parameters).await["data"].as_array().expect("a list").clone()
    }

    /// Requests since the last call, as `POST /v1/customers`.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// Requests since the last call that were told to slow down.
    pub fn take_throttled(&self) -> usize {
        std::mem::take(&mut self.state().throttled)
    }

    pub fn fail(&self, faults: impl Fn(&Asked) -> Fault + Send + Sync + 'static) {
        self.state().faults = Some(Box::new(faults));
    }

    pub fn heal(&self) {
        self.state().faults = None;
        self.state().throttle = None;
    }

    /// From now on, after so many requests that pass, all that come within a span are refused, and so on.
    pub fn throttle(&self, passes: usize, span: Duration) {
        self.state().throttle = Some(Throttle { passes, left: passes, span, refused_until: None });
    }

    /// Lets the period of a subscription end: Stripe gives it the items of its schedule's next phase.
    pub async fn turn_period(&self, subscription: &str) {
        let path = format!("subscriptions/{subscription}");
        let object = self.by_hand("GET", &path, &[("expand[]", "schedule")]).await;
        let phase = &object["schedule"]["phases"][1];
        let item = object["items"]["data"][0]["id"].as_str().expect("an item");
        let price = phase["items"][0]["price"].as_str().expect("a price");
        let quantity = phase["items"][0]["quantity"].to_string();
        let change = [("items[0][id]", item), ("items[0][price]", price), ("items[0][quantity]", &quantity)];
        self.by_hand("POST", &path, &[&change[..], &[("proration_behavior", "none")]].concat()).await;
        self.state().turned.push(object["schedule"]["id"].as_str().expect("an id").to_owned());
    }

    /// From now on, answers are those of live mode.
    pub fn answer_live(&self) {
        self.state().live = true;
    }
}

impl State {
    /// The answer to a request for a kind that the replica lacks.
    fn added(&mut self, asked: &Asked) -> Option<Reply> {
        let path = asked.path.strip_prefix("/v1/")?;
        if (asked.method.as_str(), path) == ("GET", "account") {
            return Some(Reply::json(200, &json!({"id": self.account, "object": "account"})));
        }
        if let Some(reply) = self.features_of_product(asked, path) {
            return Some(reply);
        }
        let (list, rest) = ["billing/meters", "webhook_endpoints", "entitlements/features"]
            .iter()
            .find_map(|list| Some((*list, path.strip_prefix(list)?)))?;
        let key = asked.header("idempotency-key").map(str::to_owned);
        if let Some((body, reply)) = key.as_ref().and_then(|key| self.answers.get(key)) {
            if *body != asked.body {
                let message = "Keys for idempotent requests can only be used with the same parameters";
                return Some(Reply::json(400, &json!({"error": {"type": "idempotency_error", "message": message}})));
            }
            return Some(reply.clone().header("idempotent-replayed", "true"));
        }
        let form = nested(&asked.body);
        let mut parts = rest.trim_start_matches('/').split('/');
        let (id, verb) = (parts.next().unwrap_or_default().to_owned(), parts.next());
        let objects = self.added.entry(list.to_owned()).or_default();
        let place = objects.iter().position(|object| object["id"] == id.as_str());
        let message = format!("No such object: '{id}'");
        let missing =
            json!({"error": {"type": "invalid_request_error", "code": "resource_missing", "message": message}});
        let reply = match (asked.method.as_str(), id.as_str(), verb) {
            ("GET", "", _) => {
                let status = asked.parameter("status");
                // The list has active features, or archived ones.
                let active = asked.parameter("archived").as_deref() != Some("true");
                let lookup_key = asked.parameter("lookup_key");
                let found: Vec<&Json> = objects
                    .iter()
                    .rev()
                    .filter(|object| status.is_none() || object["status"].as_str() == status.as_deref())
                    .filter(|object| object["active"].as_bool().is_none_or(|is_active| is_active == active))
                    .filter(|object| lookup_key.is_none() || object["lookup_key"].as_str() == lookup_key.as_deref())
                    .collect();
                let after = asked.parameter("starting_after");
                let start = after.map_or(0, |after| {
                    found.iter().position(|object| object["id"] == after.as_str()).expect("an id") + 1
                });
                let limit: usize = asked.parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
                let page: Vec<&&Json> = found[start..].iter().take(limit).collect();
                let has_more = start + page.len() < found.len();
                Reply::json(200, &json!({"object": "list", "has_more": has_more, "data": page, "url": asked.path}))
            }
            ("POST", "", _) => {
                self.counter += 1;
                let mut object = match list {
                    "billing/meters" => {
                        let name = &form["event_name"];
                        if objects.iter().any(|object| object["event_name"] == *name && object["status"] == "active") {
                            let message = "There is an active meter with this event name";
                            let error = json!({"error": {"type": "invalid_request_error", "message": message}});
                            return Some(Reply::json(400, &error));
                        }
                        json!({"id": format!("mtr_{}", self.counter), "object": "billing.meter", "status": "active",
                            "event_time_window": null})
                    }
                    "entitlements/features" => {
                        // An archived one keeps its key.
                        if objects.iter().any(|object| object["lookup_key"] == form["lookup_key"]) {
                            let message = "A feature with this lookup_key already exists";
                            let error = json!({"error": {"type": "invalid_request_error", "message": message}});
                            return Some(Reply::json(400, &error));
                        }
                        json!({"id": format!("feat_{}", self.counter), "object": "entitlements.feature", "active": true,
                            "metadata": {}})
                    }
                    _ => {
                        json!({"id": format!("we_{}", self.counter), "object": "webhook_endpoint", "status": "enabled",
                        "secret": "whsec_never_to_be_seen", "api_version": null, "description": null, "metadata": {}})
                    }
                };
                object["livemode"] = false.into();
                merge(&mut object, &form);
                let mut kept = object.clone();
                kept.as_object_mut().expect("an object").remove("secret");
                objects.push(kept);
                Reply::json(200, &object)
            }
            (_, _, _) if place.is_none() => Reply::json(404, &missing),
            ("GET", _, _) => Reply::json(200, &objects[place.expect("a place")]),
            ("POST", _, None) => {
                let object = &mut objects[place.expect("a place")];
                if let Some(disabled) = form["disabled"].as_str() {
                    object["status"] = if disabled == "true" { "disabled" } else { "enabled" }.into();
                }
                let mut form = form.clone();
                let fields = form.as_object_mut().expect("an object");
                fields.remove("disabled");
                if let Some(active) = fields.remove("active") {
                    object["active"] = (active == "true").into();
                }
                assert!(list != "entitlements/features" || !fields.contains_key("lookup_key"), "it cannot change");
                merge(object, &form);
                Reply::json(200, object)
            }
            ("POST", _, Some(verb)) => {
                let object = &mut objects[place.expect("a place")];
                object["status"] = if verb == "deactivate" { "inactive" } else { "active" }.into();
                Reply::json(200, object)
            }
            ("DELETE", _, _) => {
                objects.remove(place.expect("a place"));
                Reply::json(200, &json!({"id": id, "deleted": true, "object": "webhook_endpoint"}))
            }
            _ => Reply::json(404, &missing),
        };
        if let Some(key) = key.filter(|_| asked.method == "POST") {
            self.answers.insert(key, (asked.body.clone(), reply.clone()));
        }
        Some(reply)
    }

    /// The answer to a request for the features that are attached to a product.
    fn features_of_product(&mut self, asked: &Asked, path: &str) -> Option<Reply> {
        let (product, rest) = path.strip_prefix("products/")?.split_once("/features")?;
        let id = rest.trim_start_matches('/');
        let error = |status: u16, message: String| {
            Reply::json(status, &json!({"error": {"type": "invalid_request_error", "message": message}}))
        };
        let list = format!("products/{product}/features");
        let features = self.added.get("entitlements/features").cloned().unwrap_or_default();
        let attached = self.added.entry(list).or_default();
        Some(match (asked.method.as_str(), id) {
            ("GET", "") => Reply::json(200, &json!({"object": "list", "has_more": false, "data": attached})),
            ("POST", "") => {
                let feature = nested(&asked.body)["entitlement_feature"].clone();
                let Some(feature) = features.into_iter().find(|one| one["id"] == feature) else {
                    return Some(error(400, format!("No such feature: {feature}")));
                };
                if attached.iter().any(|one| one["entitlement_feature"]["id"] == feature["id"])
                    || feature["active"] != true
                {
                    return Some(error(400, "This feature is attached already, or archived".to_owned()));
                }
                self.counter += 1;
                let object = json!({"id": format!("prodft_{}", self.counter), "object": "product_feature",
                    "livemode": false, "entitlement_feature": feature});
                attached.push(object.clone());
                Reply::json(200, &object)
            }
            ("DELETE", id) if attached.iter().any(|one| one["id"] == id) => {
                attached.retain(|one| one["id"] != id);
                Reply::json(200, &json!({"id": id, "object": "product_feature", "deleted": true}))
            }
            ("GET", id) if attached.iter().any(|one| one["id"] == id) => {
                Reply::json(200, attached.iter().find(|one| one["id"] == id).expect("it is there"))
            }
            _ => error(404, format!("No such product_feature: '{id}'")),
        })
    }

    /// Takes a customer's address out of a request from when it was emptied.
    fn address(&mut self, asked: &mut Asked) {
        let id = asked.path.strip_prefix("/v1/customers/").filter(|_| asked.method == "POST").map(str::to_owned);
        let Some(id) = id else { return };
        let form = nested(&asked.body);
        let is_emptied = form["address"] == "";
        if is_emptied {
            self.addresses.insert(id, json!({}));
        } else if let Some(address) = self.addresses.get_mut(&id) {
            assert!(form["address"].as_object().is_none_or(|parts| parts.values().all(|part| part != "")));
            merge(address, &form["address"]);
        } else {
            return;
        }
        let pairs = url::form_urlencoded::parse(&asked.body).into_owned();
        let kept = pairs.filter(|(name, _)| !name.starts_with("address"));
        asked.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish().into_bytes();
    }

    /// Adds to an answer what the replica does not tell.
    fn after(&mut self, mut reply: Reply, extra: Option<Json>) -> Reply {
        let Ok(mut json) = serde_json::from_slice::<Json>(&reply.body) else { return reply };
        if let (Some(extra), Some(id)) = (extra, json["id"].as_str()) {
            self.prices.entry(id.to_owned()).or_insert(extra);
        }
        self.complete(&mut json);
        reply.body = json.to_string().into_bytes();
        reply
    }

    fn complete(&self, json: &mut Json) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(|item| self.complete(item)),
            Json::Object(fields) => {
                fields.values_mut().for_each(|value| self.complete(value));
                let emptied = fields.get("id").and_then(Json::as_str).and_then(|id| self.addresses.get(id));
                if let Some(address) = emptied {
                    let is_empty = address.as_object().is_none_or(serde_json::Map::is_empty);
                    fields.insert("address".to_owned(), if is_empty { Json::Null } else { address.clone() });
                }
                if fields.get("object").is_some_and(|object| object == "subscription_schedule") {
                    schedules::complete(fields, &self.turned);
                }
                if self.live && fields.contains_key("livemode") {
                    fields.insert("livemode".to_owned(), true.into());
                }
                let extra = fields.get("id").and_then(Json::as_str).and_then(|id| self.prices.get(id));
                if let Some(extra) = extra.filter(|_| fields.get("object").is_some_and(|object| object == "price")) {
                    if !extra["tiers"].is_null() {
                        fields.insert("tiers".to_owned(), extra["tiers"].clone());
                    }
                    if let Some(recurring) = fields.get_mut("recurring").filter(|_| extra["meter"].is_string()) {
                        recurring["meter"] = extra["meter"].clone();
                        recurring["usage_type"] = extra["usage_type"].clone();
                    }
                }
            }
            _ => {}
        }
    }
}

/// Takes out of a request what the replica would refuse, and returns what it would not tell.
fn before(asked: &mut Asked) -> Option<Json> {
    if asked.method != "POST" || asked.path != "/v1/prices" {
        return None;
    }
    let form = nested(&asked.body);
    let pairs = url::form_urlencoded::parse(&asked.body).into_owned();
    let kept = pairs.filter(|(name, _)| !matches!(name.as_str(), "recurring[usage_type]" | "recurring[meter]"));
    asked.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish().into_bytes();
    let number = |text: &Json| text.as_str().and_then(|text| text.parse::<i64>().ok());
    let tiers = form["tiers"].as_object().map(|tiers| {
        let tier = |tier: &Json| {
            let decimal = |name: &str| {
                let whole = tier[name].as_str();
                whole.or(tier[format!("{name}_decimal")].as_str()).map(str::to_owned)
            };
            json!({
                "up_to": number(&tier["up_to"]),
                "unit_amount": number(&tier["unit_amount"]), "unit_amount_decimal": decimal("unit_amount"),
                "flat_amount": number(&tier["flat_amount"]), "flat_amount_decimal": decimal("flat_amount"),
            })
        };
        tiers.values().map(tier).collect::<Vec<_>>()
    });
    Some(json!({"tiers": tiers, "meter": form["recurring"]["meter"], "usage_type": form["recurring"]["usage_type"]}))
}

/// Lays a form over an object: an empty text clears, lists are whole.
fn merge(object: &mut Json, form: &Json) {
    for (name, value) in form.as_object().into_iter().flatten() {
        match value {
            Json::Object(fields) if fields.keys().all(|key| key.parse::<usize>().is_ok()) => {
                object[name] = fields.values().cloned().collect();
            }
            Json::Object(_) => {
                if !object[name].is_object() {
                    object[name] = json!({});
                }
                merge(&mut object[name], value);
            }
            Json::String(text) if text.is_empty() => {
                object.as_object_mut().expect("an object").remove(name);
            }
            other => object[name] = other.clone(),
        }
    }
}

/// `a[b][c]=d` as JSON.
fn nested(body: &[u8]) -> Json {
    let mut root = json!({});
    for (name, value) in url::form_urlencoded::parse(body) {
        let mut place = &mut root;
        for part in name.split(['[', ']']).filter(|part| !part.is_empty()) {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[part];
        }
        *place = Json::String(value.into_owned());
    }
    root
}
