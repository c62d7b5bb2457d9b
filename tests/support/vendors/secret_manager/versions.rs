//! Versions: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions> and its methods.
//!
//! Numbers begin at 1 and go up. Lists begin with the newest. `latest` is the newest whatever its state, so that it cannot be
//! accessed when that is disabled or destroyed: <https://github.com/google-github-actions/get-secretmanager-secrets/issues/268>,
//! and answers name the version that it stands for: <https://github.com/transparency-dev/tesseract/issues/689>. A destroyed version
//! stays in lists and is in that state for ever: <https://github.com/hashicorp/terraform-provider-google/issues/12504>.
//!
//! - Filters, here only of states: <https://cloud.google.com/secret-manager/docs/filtering>
//! - Checksums (CRC32C of the data, in decimal digits): <https://cloud.google.com/secret-manager/docs/data-integrity>
//! - At most 64 KiB: <https://cloud.google.com/secret-manager/quotas>. The words of refused data are no page's.
//! - With a `versionDestroyTtl`, destroying disables first:
//!   <https://cloud.google.com/secret-manager/docs/delay-destruction-of-secret-versions>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::super::{State, google};
use super::{TIME, Version, is_outdated, next_tag, no_route};
use crate::support::server::{Asked, Reply};

impl Version {
    pub fn name(&self) -> &str {
        self.told["name"].as_str().expect("a name")
    }

    pub fn is_of(&self, secret: &str) -> bool {
        self.name().rsplit_once("/versions/").is_some_and(|(of, _)| of == secret)
    }
}

fn of<'a>(state: &'a State, secret: &'a str) -> impl DoubleEndedIterator<Item = &'a Version> {
    state.secrets.versions.iter().filter(move |version| version.is_of(secret))
}

pub(super) fn add(state: &mut State, asked: &Asked, secret: &str) -> Reply {
    let payload = asked.json()["payload"].clone();
    let encoded = payload["data"].as_str().unwrap_or_default();
    let Ok(data) = STANDARD.decode(encoded) else {
        let message = "Invalid value at 'payload.data' (TYPE_BYTES), Base64 decoding failed";
        return google::error(400, message);
    };
    if data.is_empty() || data.len() > 65_536 {
        return google::error(400, "Secret Payload must be between 1 and 65536 bytes.");
    }
    let checksum = payload.get("dataCrc32c").map(|given| given.as_str().map_or(given.to_string(), str::to_owned));
    if checksum.as_ref().is_some_and(|given| *given != crc32c(&data).to_string()) {
        return google::error(400, "The data_crc32c in the payload does not match the checksum of the data.");
    }
    let number = of(state, secret).count() + 1;
    let mut made = json!({"name": format!("{secret}/versions/{number}"), "createTime": TIME, "state": "ENABLED",
        "replicationStatus": {"automatic": {}}, "etag": next_tag(state)});
    if checksum.is_some() {
        made["clientSpecifiedPayloadChecksum"] = true.into();
    }
    state.secrets.versions.push(Version { told: made.clone(), data: Some(encoded.to_owned()) });
    Reply::json(200, &made)
}

pub(super) fn list(state: &State, asked: &Asked, secret: &str) -> Reply {
    let filter = asked.parameter("filter").unwrap_or_default();
    let wanted = filter.strip_prefix("state").map(|rest| rest.trim_start_matches([' ', ':', '=']));
    assert!(wanted.is_some() || filter.is_empty(), "no filter that is known here: {filter}");
    let versions = of(state, secret).rev().map(|version| version.told.clone());
    let versions: Vec<Json> =
        versions.filter(|version| wanted.is_none_or(|wanted| version["state"] == wanted)).collect();
    let number = |parameter: &str| asked.parameter(parameter).and_then(|number| number.parse().ok()).unwrap_or(0);
    let (start, size) = (number("pageToken"), number("pageSize"));
    let end = if size == 0 { versions.len() } else { versions.len().min(start + size) };
    let mut answer = json!({"totalSize": versions.len()});
    if start < end {
        answer["versions"] = versions[start..end].into();
    }
    if end < versions.len() {
        answer["nextPageToken"] = end.to_string().into();
    }
    Reply::json(200, &answer)
}

pub(super) fn answer(state: &mut State, asked: &Asked, secret: &str, version: &str) -> Reply {
    let (version, verb) = version.split_once(':').unwrap_or((version, ""));
    let name = match version {
        "latest" => match of(state, secret).next_back() {
            Some(newest) => newest.name().to_owned(),
            None => return google::error(404, &format!("Secret [{secret}] not found or has no versions.")),
        },
        number => format!("{secret}/versions/{number}"),
    };
    let Some(at) = state.secrets.versions.iter().position(|version| version.name() == name) else {
        return google::error(404, &format!("Secret Version [{name}] not found."));
    };
    match (asked.method.as_str(), verb) {
        ("GET", "") => Reply::json(200, &state.secrets.versions[at].told),
        ("GET", "access") => access(&state.secrets.versions[at]),
        ("POST", "enable" | "disable" | "destroy") => change(state, asked, at, verb),
        _ => no_route(),
    }
}

fn is_not_for(version: &Version) -> Reply {
    let state = version.told["state"].as_str().expect("a state");
    google::refusal(400, "FAILED_PRECONDITION", &format!("Secret Version [{}] is in {state} state.", version.name()))
}

fn access(version: &Version) -> Reply {
    let Some(data) = version.data.as_deref().filter(|_| version.told["state"] == "ENABLED") else {
        return is_not_for(version);
    };
    let checksum = crc32c(&STANDARD.decode(data).expect("base64")).to_string();
    Reply::json(200, &json!({"name": version.name(), "payload": {"data": data, "dataCrc32c": checksum}}))
}

fn change(state: &mut State, asked: &Asked, at: usize, verb: &str) -> Reply {
    let tag = next_tag(state);
    let secrets = &state.objects;
    let version = &mut state.secrets.versions[at];
    if version.told["state"] == "DESTROYED" {
        return is_not_for(version);
    }
    if let Some(refused) = is_outdated(asked.json()["etag"].as_str(), &version.told) {
        return refused;
    }
    let is_delayed = |secret: &&Json| {
        secret["name"].as_str().is_some_and(|name| version.is_of(name)) && secret["versionDestroyTtl"].is_string()
    };
    let (now, time) = match verb {
        "enable" => ("ENABLED", None),
        "destroy" if secrets.iter().any(|secret| is_delayed(&secret)) => ("DISABLED", Some("scheduledDestroyTime")),
        "destroy" => ("DESTROYED", Some("destroyTime")),
        _ => ("DISABLED", None),
    };
    version.told["state"] = now.into();
    version.told["etag"] = tag;
    version.told.as_object_mut().expect("an object").remove("scheduledDestroyTime");
    if let Some(time) = time {
        version.told[time] = TIME.into();
    }
    if now == "DESTROYED" {
        version.data = None;
    }
    Reply::json(200, &version.told)
}

/// The checksum of RFC 3720, appendix B.4.
fn crc32c(data: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0x82F6_3B78 } else { sum >> 1 };
    !data.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}
