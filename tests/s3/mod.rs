//! The S3 provider on `SeaweedFS` and on a replica of AWS.

mod buckets;
mod dangers;
mod emptying;
mod given_up;
mod objects;
mod prefixes;
mod reading;
mod takings;
mod users;
