//! Buckets.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use crate::api::Api;
use crate::error::{Failed as _, Failure};
use crate::mark::{self, Tags};
use crate::setting::{SETTINGS, Said, Setting, TAGGING};
use crate::types::text;
use crate::xml::Element;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Subject;
use tenantry_provider::contract::ErrorClass;
use tenantry_transport::Pages;

/// How many buckets a page of the list has: the most that AWS gives.
const PAGE: &str = "1000";

/// Every bucket that is asked for, and every other one that carries the estate's mark.
pub async fn observe(api: &Api, kind: &Kind, estate: &str, subjects: &[Subject<'_>]) -> KindObservation {
    let listed = list(api).await;
    let reads = subjects.iter().map(|subject| {
        let listed = &listed;
        async move {
            let name = text(subject.spec, "name");
            let observed = match one(api, kind, name, Some(subject.spec)).await {
                Ok(found) => found.map_or(Observed::Absent, Observed::Present),
                // There, but not among those of this account: somebody else's.
                Err(failure)
                    if failure.class() == ErrorClass::Denied
                        && listed.as_ref().is_ok_and(|names| !names.iter().any(|listed| listed == name)) =>
                {
                    let spec: Map = [("name".into(), Value::from(name))].into_iter().collect();
                    Observed::Present(Present { spec: Arc::new(kind.canonical(&spec)), ..Present::default() })
                }
                Err(failure) => {
                    let attempted = format!("reading bucket \"{}\" of {}", subject.identity, api.location());
                    Observed::Unknown(failure.into_reason(attempted).into())
                }
            };
            (subject.identity.clone(), observed)
        }
    });
    let others = async {
        match &listed {
            Ok(names) => others(api, kind, estate, names, subjects).await,
            Err(failure) => Err(failure.clone()),
        }
    };
    let (mut resources, others) = futures::join!(join_all(reads), others);
    let incomplete = match others {
        Ok((found, gaps)) => {
            resources.extend(found);
            gaps
        }
        Err(failure) => Some(failure.into_reason(format!("listing the buckets of {}", api.location()))),
    };
    KindObservation { resources: resources.into_iter().collect(), incomplete: incomplete.map(Into::into) }
}

/// Buckets with the estate's mark that nobody has asked for. Of each bucket of the account only the tags are read.
async fn others(
    api: &Api,
    kind: &Kind,
    estate: &str,
    names: &[String],
    subjects: &[Subject<'_>],
) -> Result<(Vec<(Identity, Observed)>, Option<Arc<str>>), Failure> {
    let asked: BTreeSet<&str> = subjects.iter().map(|subject| text(subject.spec, "name")).collect();
    let reads = names.iter().filter(|name| !asked.contains(name.as_str())).map(|name| async move {
        let tags = read_tags(api, name).await;
        (name, tags)
    });
    let mut found = Vec::new();
    let mut gaps = None;
    for (name, tags) in join_all(reads).await {
        match tags {
            Ok(Some(tags)) if mark::read(&tags).is_some_and(|mark| *mark.estate == *estate) => {
                if let Some(present) = one(api, kind, name, None).await? {
                    found.push((Identity::from(name.as_str()), Observed::Present(present)));
                }
            }
            Ok(_) => {}
            // A server without tags has no marks either.
            Err(Failure::Unsupported { .. }) => {}
            // In another region, or kept from us: no bucket of this target.
            Err(failure) if failure.class() == ErrorClass::Denied || failure.is_elsewhere() => {}
            Err(failure) => gaps = Some(failure.into_reason(format!("reading the tags of bucket \"{name}\""))),
        }
    }
    Ok((found, gaps))
}

/// The names of all buckets.
async fn list(api: &Api) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut token: Option<String> = None;
    let mut pages = Pages::default();
    loop {
        // Servers other than AWS know no pages here and give all.
        let mut query = Vec::new();
        if let Some(token) = &token {
            query.extend([("continuation-token", token.as_str()), ("max-buckets", PAGE)]);
        }
        let page = api.document("", &query, "ListAllMyBucketsResult").await?;
        let unreadable = |what: &str| Failure::Unreadable(format!("the list of buckets {what}"));
        let buckets = page.child("Buckets").ok_or_else(|| unreadable("has no element with buckets"))?;
        let before = names.len();
        for bucket in buckets.all("Bucket") {
            let name = bucket.get("Name").filter(|name| !name.is_empty());
            names.push(name.ok_or_else(|| unreadable("has a bucket without a name"))?.to_owned());
        }
        let Some(next) = page.get("ContinuationToken").filter(|next| !next.is_empty()) else { return Ok(names) };
        pages.turn(&names[before..], next).map_err(|endless| Failure::Unreadable(endless.to_string()))?;
        token = Some(next.to_owned());
    }
}

/// The tags of a bucket; `None` if there is no bucket.
pub async fn read_tags(api: &Api, name: &str) -> Result<Option<Tags>, Failure> {
    match TAGGING.read(api, name).await {
        Ok(Said::Xml(element)) => Ok(Some(tags_of(&element))),
        Ok(_) => Ok(Some(Tags::new())),
        Err(failure) if failure.is_code("NoSuchBucket") => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn tags_of(element: &Element) -> Tags {
    let tags = element.child("TagSet").into_iter().flat_map(|set| set.all("Tag"));
    tags.map(|tag| {
        let text = |name| tag.get(name).unwrap_or_default().to_owned();
        (text("Key"), text("Value"))
    })
    .collect()
}

/// The settings that tags say are looked after.
pub fn managed(tags: &Tags) -> BTreeSet<&'static str> {
    let noted = tags.get(mark::MANAGES).map(String::as_str).unwrap_or_default();
    let fields = SETTINGS.iter().map(|setting| setting.field);
    fields.filter(|field| noted.split(' ').any(|noted| noted == *field)).collect()
}

/// One bucket; `None` if there is none.
///
/// # Errors
/// If anything of it cannot be told.
pub async fn one(api: &Api, kind: &Kind, name: &str, spec: Option<&Map>) -> Result<Option<Present>, Failure> {
    let tags = match read_tags(api, name).await {
        Ok(Some(tags)) => tags,
        Ok(None) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let mut asked = managed(&tags);
    asked.extend(
        SETTINGS.iter().map(|setting| setting.field).filter(|field| spec.is_some_and(|spec| spec.contains(field))),
    );
    let settings: Vec<&Setting> = SETTINGS.iter().filter(|setting| asked.contains(setting.field)).collect();
    let reads = settings.iter().map(|setting| setting.read(api, name));
    let mut fields: Vec<(Arc<str>, Value)> = vec![
        ("name".into(), name.into()),
        ("tags".into(), Value::map(mark::others(&tags).into_iter().map(|(key, value)| (key, Value::from(value))))),
        // It stands nowhere but in the spec.
        ("public".into(), spec.and_then(|spec| spec.get("public")).cloned().unwrap_or(false.into())),
    ];
    for (setting, said) in settings.iter().zip(join_all(reads).await) {
        match said {
            Ok(said) => fields.extend(setting.value(&said).map(|value| (setting.field.into(), value))),
            Err(failure) if failure.is_code("NoSuchBucket") => return Ok(None),
            Err(failure) => return Err(failure),
        }
    }
    // No rules are as good as an empty list of them.
    for list in ["cors", "lifecycle"] {
        let wanted = spec.and_then(|spec| spec.get(list)).and_then(Value::as_list);
        if wanted.is_some_and(<[Value]>::is_empty) && !fields.iter().any(|(field, _)| **field == *list) {
            fields.push((list.into(), Value::list([])));
        }
    }
    let observed: Map = fields.into_iter().collect();
    let mark: Option<Mark> = mark::read(&tags);
    let outputs: Map = [("arn".into(), Value::from(format!("arn:aws:s3:::{name}")))].into_iter().collect();
    Ok(Some(Present {
        spec: Arc::new(kind.canonical(&observed)),
        mark,
        outputs: Arc::new(outputs),
        ..Present::default()
    }))
}
