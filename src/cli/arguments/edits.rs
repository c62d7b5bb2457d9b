//! Arguments of the commands that edit the repository.

use std::path::PathBuf;

use clap::Args;

use tenantry_core::model::document::Phase;

/// Where an edit is written.
#[derive(Debug, Args)]
pub struct EditInto {
    /// Commit it to this branch, which is created if it does not exist. Work tree and index stay as they are.
    #[arg(long, value_name = "NAME", conflicts_with = "commit")]
    pub branch: Option<String>,
    /// Commit it to the branch that is checked out. The file must have no uncommitted changes.
    #[arg(long)]
    pub commit: bool,
}

#[derive(Debug, Args)]
pub struct New {
    /// The company's name as people write it.
    #[arg(value_name = "NAME")]
    pub company: String,
    /// Further fields, such as quotas.users=200 or values.region=eu.
    #[arg(value_name = "FIELD=VALUE")]
    pub fields: Vec<String>,
    /// The tenant's id; by default made of the company's name and a random suffix.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Its tier; may be left out if there is only one.
    #[arg(long, value_name = "NAME")]
    pub tier: Option<String>,
    /// Its phase: trial, active or suspended.
    #[arg(long, value_name = "PHASE", default_value = "active", value_parser = phase)]
    pub phase: Phase,
    #[command(flatten)]
    pub into: EditInto,
}

/// A phase that a tenant can begin in.
fn phase(text: &str) -> Result<Phase, String> {
    let phase = Phase::named(text).filter(|phase| phase.may_follow(None));
    phase.ok_or_else(|| "a tenant begins in the phase trial, active or suspended".to_owned())
}

#[derive(Debug, Args)]
pub struct Edit {
    /// The tenant's name.
    pub tenant: String,
    /// FIELD=VALUE sets a field, FIELD- removes it: tier=enterprise, quotas.users=200, values.regions=[eu, us], features-.
    #[arg(value_name = "FIELD=VALUE", required = true)]
    pub fields: Vec<String>,
    #[command(flatten)]
    pub into: EditInto,
}

#[derive(Debug, Args)]
pub struct Event {
    /// The file with the event as it was received; `-` for stdin.
    pub file: PathBuf,
    /// The value of the request's header `Stripe-Signature`, or a signature of the same form of an event in the generic form.
    #[arg(long, value_name = "HEADER", env = "TENANTRY_EVENT_SIGNATURE", conflicts_with = "unsigned")]
    pub signature: Option<String>,
    /// Take an event in the generic form without a signature.
    #[arg(long)]
    pub unsigned: bool,
    /// The branch to commit to, which is created if it does not exist. It must not be checked out.
    #[arg(long, value_name = "NAME", default_value = "tenantry/events")]
    pub branch: String,
}
