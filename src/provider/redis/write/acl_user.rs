//! Users.

use redis::aio::MultiplexedConnection;
use redis::cmd;

use crate::acl::{User, fingerprint, password_hash, rules_note};
use crate::error::{Failed as _, Failure};
use crate::mark::Label;
use crate::read::fetch_user;
use crate::types::acl_user::AclUserSpec;
use tenantry_kit::parse;
use tenantry_provider::contract::{OWN_USER, Step, StepAction};

pub async fn write(connection: &mut MultiplexedConnection, step: &Step, own_user: &str) -> Result<(), Failure> {
    let spec: AclUserSpec = parse(step.spec())?;
    let name = spec.name.as_str();
    if name.is_empty() || name == own_user {
        return Err(Failure::invalid(OWN_USER));
    }
    let existing = fetch_user(connection, name).await?;
    if let Some(user) = &existing {
        step.check_owner(user.label.as_ref().map(|label| &label.mark)).map_err(Failure::conflict)?;
    }
    match &step.action {
        StepAction::Delete { .. } => match existing {
            None => Ok(()),
            // The server closes its connections.
            Some(_) => Ok(cmd("ACL").arg("DELUSER").arg(name).exec_async(connection).await?),
        },
        StepAction::Create { .. } => set(connection, step, &spec, existing.as_ref(), false).await,
        StepAction::Update { removed, .. } => {
            let existing = existing.ok_or_else(Failure::vanished)?;
            let drop_passwords = removed.iter().any(|pointer| pointer == "/password");
            set(connection, step, &spec, Some(&existing), drop_passwords).await
        }
    }
}

/// Sets a user anew, whatever it was: `ACL SETUSER` alone only adds.
async fn set(
    connection: &mut MultiplexedConnection,
    step: &Step,
    spec: &AclUserSpec,
    existing: Option<&User>,
    drop_passwords: bool,
) -> Result<(), Failure> {
    let AclUserSpec {
        name,
        enabled,
        password,
        keys,
        read_keys,
        write_keys,
        channels,
        commands,
        nopass: _,
        selectors: _,
    } = spec;
    let passwords = match password {
        Some(password) if password.is_empty() => {
            return Err(Failure::invalid("its password is empty"));
        }
        Some(password) => vec![password_hash(password)],
        None if drop_passwords => Vec::new(),
        None => existing.map(|user| user.passwords.clone()).unwrap_or_default(),
    };
    let mut label =
        Label { mark: step.mark.clone(), password: password.as_ref().map(|_| fingerprint(&passwords)), rules: None };
    let command = |label: &Label| {
        let mut command = cmd("ACL");
        command.arg("SETUSER").arg(name).arg("reset").arg(if *enabled { "on" } else { "off" });
        for hash in &passwords {
            command.arg(format!("#{hash}"));
        }
        for (prefix, patterns) in [("~", keys), ("%R~", read_keys), ("%W~", write_keys), ("&", channels)] {
            for pattern in patterns {
                command.arg(format!("{prefix}{pattern}"));
            }
        }
        command.arg(commands).arg(label.selector());
        command
    };
    command(&label).exec_async(connection).await?;
    if let Some(found) = fetch_user(connection, name).await?
        && found.commands != *commands
    {
        label.rules = Some(rules_note(commands, &found.commands));
        command(&label).exec_async(connection).await?;
    }

    // Who is logged in stays so, whatever becomes of the user.
    let passwords_changed = existing.is_some_and(|user| user.passwords != passwords || user.nopass);
    if passwords_changed || (existing.is_some() && !enabled) {
        let closed = cmd("CLIENT").arg("KILL").arg("USER").arg(name).exec_async(connection).await;
        if let Err(error) = closed {
            tracing::warn!("open connections of Redis user \"{name}\" stay open: {}", Failure::from(error));
        }
    }
    Ok(())
}

/// Makes written users outlive the server, where it has a file for that.
pub async fn save(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    match cmd("ACL").arg("SAVE").exec_async(connection).await {
        Ok(()) => Ok(()),
        Err(error) if error.to_string().contains("not configured to use an ACL file") => {
            tracing::warn!("this Redis server has no `aclfile`, so it loses the users when it restarts");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
