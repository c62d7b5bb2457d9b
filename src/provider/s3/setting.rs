//! The settings of a bucket, each of which is a sub-resource: `?versioning`, `?policy` and so on.
//!
//! Some servers take a request for a sub-resource that they do not know as one for the bucket: `DELETE ?website` deletes the
//! bucket, `GET ?encryption` lists what is in it. So nothing is written that the same server has not just answered a read of
//! in the right form; and after a deletion the bucket is looked at.

use super::api::{Api, Call, refusal};
use super::error::Failure;
use super::types::{bucket, cors, lifecycle, policy};
use super::xml::Element;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::parse;
use tenantry_transport::Method;

/// A setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The field of the spec.
    pub field: &'static str,
    /// The sub-resource.
    query: &'static str,
    /// The root element of what it says; `None` for JSON.
    root: Option<&'static str>,
    /// The code of the answer if there is none.
    missing: &'static str,
    /// For messages.
    pub words: &'static str,
}

/// In the order in which they are written: what others need first, and what may open the bucket after what may close it.
pub const SETTINGS: [Setting; 7] = [
    Setting {
        field: "versioning",
        query: "versioning",
        root: Some("VersioningConfiguration"),
        missing: "",
        words: "versioning",
    },
    Setting {
        field: "objectLock",
        query: "object-lock",
        root: Some("ObjectLockConfiguration"),
        missing: "ObjectLockConfigurationNotFoundError",
        words: "object lock",
    },
    Setting {
        field: "encryption",
        query: "encryption",
        root: Some("ServerSideEncryptionConfiguration"),
        missing: "ServerSideEncryptionConfigurationNotFoundError",
        words: "default encryption of buckets",
    },
    Setting {
        field: "publicAccessBlock",
        query: "publicAccessBlock",
        root: Some("PublicAccessBlockConfiguration"),
        missing: "NoSuchPublicAccessBlockConfiguration",
        words: "public access block",
    },
    Setting { field: "policy", query: "policy", root: None, missing: "NoSuchBucketPolicy", words: "bucket policies" },
    Setting {
        field: "cors",
        query: "cors",
        root: Some("CORSConfiguration"),
        missing: "NoSuchCORSConfiguration",
        words: "rules for other origins",
    },
    Setting {
        field: "lifecycle",
        query: "lifecycle",
        root: Some("LifecycleConfiguration"),
        missing: "NoSuchLifecycleConfiguration",
        words: "lifecycles",
    },
];

/// The tags of a bucket, which are not a field of their own: they hold the mark.
pub const TAGGING: Setting = Setting {
    field: "tags",
    query: "tagging",
    root: Some("Tagging"),
    missing: "NoSuchTagSet",
    words: "tags of buckets",
};

/// What a server said of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Nothing,
    Xml(Element),
    Json(Value),
}

impl Setting {
    /// Reads the setting of a bucket.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] if the server does not know it; a refusal with the code `NoSuchBucket` if there is no bucket.
    pub async fn read(&self, api: &Api, bucket: &str) -> Result<Said, Failure> {
        let query = [(self.query, "")];
        let answer = api.send(Method::GET, Call { bucket, query: &query, ..Call::default() }).await?;
        let unsupported = |why: String| Failure::Unsupported { feature: self.words, why };
        if !answer.status.is_success() {
            let failure = refusal(&answer);
            return match &failure {
                // Some servers have their own code for it, but none says 404 for another reason than these.
                Failure::Refused { code, .. } if !self.missing.is_empty() && code == self.missing => Ok(Said::Nothing),
                Failure::Refused { status: 501 | 405, .. } => Err(unsupported(failure.to_string())),
                Failure::Refused { code, .. } if code == "NotImplemented" => Err(unsupported(failure.to_string())),
                _ => Err(failure),
            };
        }
        let Some(root) = self.root else {
            let document =
                serde_json::from_slice::<serde_json::Value>(&answer.body).ok().filter(serde_json::Value::is_object);
            let other = || unsupported("it answers a read of this setting with something else".to_owned());
            return document.map(|json| Said::Json(Value::from(json))).ok_or_else(other);
        };
        match Element::parse(&answer.body) {
            Some(element) if element.name == root => Ok(Said::Xml(element)),
            Some(element) => Err(unsupported(format!("it answers a read of this setting with <{}>", element.name))),
            None => Err(Failure::Unreadable(format!("the answer about {} cannot be read", self.words))),
        }
    }

    /// Sets it, if the server knows it.
    ///
    /// # Errors
    /// As for [`Self::read`], or a refusal.
    pub async fn put(&self, api: &Api, bucket: &str, body: Vec<u8>) -> Result<(), Failure> {
        self.read(api, bucket).await?;
        let query = [(self.query, "")];
        let kind = if self.root.is_some() { "application/xml" } else { "application/json" };
        let headers = [("content-type", kind)];
        let call = Call { bucket, query: &query, headers: &headers, body: Some(body), ..Call::default() };
        match api.call(Method::PUT, call).await {
            Ok(_) => Ok(()),
            // It took the request for one to make the bucket.
            Err(failure) if failure.is_code("BucketAlreadyExists") || failure.is_code("BucketAlreadyOwnedByYou") => {
                Err(Failure::Unsupported { feature: self.words, why: failure.to_string() })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Takes it away, if it is there and the server knows it.
    ///
    /// # Errors
    /// As for [`Self::read`], or a refusal, or if the bucket is gone afterwards.
    pub async fn remove(&self, api: &Api, bucket: &str) -> Result<(), Failure> {
        if self.read(api, bucket).await? == Said::Nothing {
            return Ok(());
        }
        let query = [(self.query, "")];
        api.call(Method::DELETE, Call { bucket, query: &query, ..Call::default() }).await?;
        match api.call(Method::HEAD, Call { bucket, ..Call::default() }).await {
            Err(failure) if failure.is_missing_head() => Err(Failure::Unsupported {
                feature: self.words,
                why: "it deleted the bucket when the setting was to be removed".to_owned(),
            }),
            other => other.map(|_| ()),
        }
    }

    /// What was said, as the field of a spec; `None` if it is not set.
    pub fn value(&self, said: &Said) -> Option<Value> {
        match (self.field, said) {
            ("versioning", Said::Xml(element)) => Some(element.is("Status", "Enabled").into()),
            ("objectLock", Said::Xml(element)) => bucket::lock_of(element),
            ("encryption", Said::Xml(element)) => bucket::encryption_of(element),
            ("publicAccessBlock", Said::Xml(element)) => Some(bucket::block_of(element)),
            ("policy", Said::Json(document)) => Some(document.clone()),
            ("cors", Said::Xml(element)) => Some(cors::of_xml(element)),
            ("lifecycle", Said::Xml(element)) => Some(lifecycle::of_xml(element)),
            _ => None,
        }
    }

    /// Brings a bucket's setting to what a spec says.
    ///
    /// # Errors
    /// As for [`Self::put`] and [`Self::remove`].
    pub async fn write(&self, api: &Api, name: &str, spec: &Map) -> Result<(), Failure> {
        let typed: bucket::BucketSpec = parse(spec)?;
        let body = match self.field {
            "versioning" => match typed.versioning {
                Some(true) => bucket::versioning_xml(true).document(),
                // Where it never was there is nothing to suspend.
                Some(false) if self.value(&self.read(api, name).await?) == Some(true.into()) => {
                    bucket::versioning_xml(false).document()
                }
                _ => return Ok(()),
            },
            "objectLock" => match &typed.object_lock {
                Some(lock) => bucket::lock_xml(lock).document(),
                None => return Ok(()),
            },
            "encryption" => match &typed.encryption {
                Some(encryption) => bucket::encryption_xml(encryption).document(),
                None => return self.remove(api, name).await,
            },
            // To take it away would open the bucket.
            "publicAccessBlock" => {
                bucket::block_xml(&typed.public_access_block.unwrap_or_else(bucket::all_blocked)).document()
            }
            "policy" => match spec.get("policy") {
                Some(document) => policy::document(document).into_bytes(),
                None => return self.remove(api, name).await,
            },
            "cors" => match typed.cors.as_deref() {
                None | Some([]) => return self.remove(api, name).await,
                Some(rules) => cors::xml(rules).document(),
            },
            _ => match typed.lifecycle.as_deref() {
                None | Some([]) => return self.remove(api, name).await,
                Some(rules) => lifecycle::xml(rules).document(),
            },
        };
        self.put(api, name, body).await
    }
}
