//! The S3 provider on `SeaweedFS` and on a replica of AWS.

#[allow(dead_code, reason = "each test binary takes its part")]
#[path = "../support/mod.rs"]
mod support;

mod buckets;
mod dangers;
mod emptying;
mod objects;
mod reading;
mod takings;
mod users;
