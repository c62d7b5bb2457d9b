//! Grants.
//!
//! Whoever granted a privilege takes it away: the server does nothing, and says so only in a warning, where anybody else
//! tries. So what is to go is looked up line by line, taken away as the role that granted it, and looked up again.

use std::collections::{BTreeMap, BTreeSet};

use super::transaction::Transaction;
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::quote::{NulCharacter, quote_identifier, quote_qualified};
use crate::read::held;
use crate::read::lines::{self, Line};
use crate::types::grant::{self, ALL, Class, Extent, GrantSpec, On, column_of};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

/// Whether a step changes who may connect to a database.
pub fn is_on_database(step: &Step) -> bool {
    step.kind.name == grant::NAME && step.spec().get("on").and_then(Value::as_str) == Some("database")
}

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    let spec: GrantSpec = parse(step.spec()).of_step(index)?;
    let wanted = spec.wanted(transaction.login.version);
    let surplus: BTreeSet<String> = match &step.action {
        StepAction::Create { .. } => BTreeSet::new(),
        StepAction::Update { before, .. } => {
            held_before(&spec, &before.spec, transaction.login.version).difference(&wanted).cloned().collect()
        }
        StepAction::Delete { before } => held_before(&spec, &before.spec, transaction.login.version),
    };
    let gives_up_option = match &step.action {
        StepAction::Update { before, .. } => {
            !spec.with_grant_option && before.spec.get("withGrantOption") == Some(&Value::Bool(true))
        }
        _ => false,
    };
    if step.is_delete() && surplus.is_empty() {
        return Ok(());
    }

    // A function has to be found first, and so has what is to be taken away.
    let is_function = spec.on == On::Function;
    let looks = is_function || !surplus.is_empty() || gives_up_option || !transaction.login.is_superuser;
    let mut function = None;
    if looks {
        transaction.flush().await?;
        if is_function {
            match function_of(transaction, &spec).await {
                // What is already gone cannot be taken away.
                Err(_) if step.is_delete() => return Ok(()),
                found => function = Some(found.of_step(index)?),
            }
        }
        let number = function.as_ref().map(|(number, _)| number.as_str());
        if !transaction.login.is_superuser {
            for owner in lines::owners(&mut *transaction.connection, &spec, number).await.of_step(index)? {
                transaction.act_for(index, &owner).await?;
            }
            transaction.flush().await?;
        }
        if !surplus.is_empty() || gives_up_option {
            let lines = lines::of_grant(&mut *transaction.connection, &spec, number).await.of_step(index)?;
            let too_much = |line: &Line| surplus.contains(&line.name());
            let too_free = |line: &Line| gives_up_option && line.grantable && !too_much(line);
            let gone: Vec<Line> = lines.iter().filter(|line| too_much(line)).cloned().collect();
            revoke(transaction, index, &spec.role, &gone, false).await?;
            let bound: Vec<Line> = lines.into_iter().filter(too_free).collect();
            revoke(transaction, index, &spec.role, &bound, true).await?;
            if !gone.is_empty() || !bound.is_empty() {
                transaction.flush().await?;
                let left = lines::of_grant(&mut *transaction.connection, &spec, number).await.of_step(index)?;
                refuse_left(&spec.role, left.iter().filter(|line| too_much(line) || too_free(line))).of_step(index)?;
            }
        }
    }
    if !step.is_delete() && !wanted.is_empty() {
        let target = Target::of(&spec, transaction.database, function.as_ref().map(|(_, sql)| sql.as_str()));
        let statement = target.and_then(|target| target.grant(&spec)).of_step(index)?;
        transaction.push(index, statement);
    }
    Ok(())
}

/// The number of a function, and the function as the server writes it, quoted.
async fn function_of(transaction: &mut Transaction<'_>, spec: &GrantSpec) -> Result<(String, String), Failure> {
    let (schema, name) = (spec.schema.as_deref().unwrap_or_default(), spec.name.as_deref().unwrap_or_default());
    let number = held::function(&mut *transaction.connection, schema, name).await?;
    let query = "SELECT pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = $1::text::oid";
    let sql: String = sqlx::query_scalar(query).bind(&number).fetch_one(&mut *transaction.connection).await?;
    Ok((number, sql))
}

/// The privileges that were seen, one by one.
fn held_before(grant: &GrantSpec, seen: &Map, version: i32) -> BTreeSet<String> {
    let items = seen.get("privileges").and_then(Value::as_list).unwrap_or_default();
    let names = items.iter().filter_map(Value::as_str);
    names
        .flat_map(|name| match name {
            ALL => grant::all_privileges(grant.on.class(), version),
            other => BTreeSet::from([other.to_owned()]),
        })
        .collect()
}

/// Takes away lines of access control lists, each as the role that granted it; `option_only` leaves the privilege and takes
/// the right to give it on.
pub async fn revoke(
    transaction: &mut Transaction<'_>,
    index: usize,
    role: &str,
    lines: &[Line],
    option_only: bool,
) -> Result<(), StepFailure> {
    // An owner's grants are taken away by whoever has the owner's rights.
    let mut by_grantor: BTreeMap<Option<&str>, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        by_grantor.entry((!line.is_of_owner()).then_some(&*line.grantor)).or_default().push(line);
    }
    for (grantor, lines) in by_grantor {
        if let Some(grantor) = grantor {
            transaction.act_for(index, grantor).await?;
            let grantor = quote_identifier(grantor).of_step(index)?;
            transaction.push(index, format!("SET LOCAL ROLE {grantor}"));
        }
        for statement in revocations(role, &lines, option_only).of_step(index)? {
            // The server warns where it does nothing; that is found by looking again.
            transaction.push_quietly(index, statement);
        }
        if grantor.is_some() {
            transaction.push(index, "RESET ROLE");
        }
    }
    Ok(())
}

/// The fewest statements that take away the lines of one grantor: objects that lose the same privileges go together.
fn revocations(role: &str, lines: &[&Line], option_only: bool) -> Result<Vec<String>, NulCharacter> {
    let role = role_name(role)?;
    let option = if option_only { "GRANT OPTION FOR " } else { "" };
    let mut by_object: BTreeMap<(&str, &str, &str), BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let privilege = sql_of(&line.name())?;
        by_object.entry((&line.before, &line.word, &line.object)).or_default().insert(privilege);
    }
    let mut together: BTreeMap<(&str, &str, BTreeSet<String>), Vec<&str>> = BTreeMap::new();
    for ((before, word, object), privileges) in by_object {
        together.entry((before, word, privileges)).or_default().push(object);
    }
    let statement = |((before, word, privileges), objects): ((&str, &str, BTreeSet<String>), Vec<&str>)| {
        let privileges = privileges.into_iter().collect::<Vec<_>>().join(", ");
        let objects = objects.join(", ");
        let objects = if objects.is_empty() { String::new() } else { format!(" {objects}") };
        format!("{before}REVOKE {option}{privileges} ON {word}{objects} FROM {role} CASCADE")
    };
    Ok(together.into_iter().map(statement).collect())
}

/// Names what could not be taken away, and who could.
fn refuse_left<'a>(role: &str, left: impl Iterator<Item = &'a Line>) -> Result<(), Failure> {
    let left: BTreeSet<String> = left
        .map(|line| {
            let object = format!("{} {}", line.word.to_lowercase(), line.object);
            format!("{} on {} was granted by \"{}\"", line.name(), object.trim(), line.grantor)
        })
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    let left = left.into_iter().collect::<Vec<_>>().join("; ");
    Err(Failure::conflict(format!(
        "\"{role}\" still has privileges that the login of Tenantry may not revoke: {left}. Revoke them as that role, or make \
         the login a member of it"
    )))
}

/// A privilege as SQL. It goes into statements as it is: nothing but a keyword passes, and the name of a column in quotes.
fn sql_of(privilege: &str) -> Result<String, NulCharacter> {
    Ok(match column_of(privilege) {
        Some((word, column)) => format!("{} ({})", keyword(word), quote_identifier(&column)?),
        None => keyword(privilege),
    })
}

fn keyword(name: &str) -> String {
    name.chars().filter(char::is_ascii_uppercase).collect()
}

fn role_name(role: &str) -> Result<String, NulCharacter> {
    if role == "public" { Ok("PUBLIC".to_owned()) } else { quote_identifier(role) }
}

/// What stands around the privileges.
struct Target {
    /// `ALTER DEFAULT PRIVILEGES …`, or nothing.
    before: String,
    object: String,
    role: String,
}

impl Target {
    /// `database` is the one of the connection.
    fn of(spec: &GrantSpec, database: &str, function: Option<&str>) -> Result<Self, Failure> {
        let role = role_name(&spec.role)?;
        let schema = spec.schema.as_deref();
        let class = spec.on.class();
        let plural = format!("{}S", class.sql());
        let mut before = String::new();
        let object = match spec.on.extent() {
            Extent::Default => {
                before.push_str("ALTER DEFAULT PRIVILEGES ");
                if let Some(grantor) = &spec.grantor {
                    before.push_str(&format!("FOR ROLE {} ", quote_identifier(grantor)?));
                }
                if let Some(schema) = schema {
                    before.push_str(&format!("IN SCHEMA {} ", quote_identifier(schema)?));
                }
                plural
            }
            Extent::All => format!("ALL {plural} IN SCHEMA {}", quote_identifier(schema.unwrap_or_default())?),
            Extent::One => {
                let name = match (class, function) {
                    (Class::Function, Some(function)) => function.to_owned(),
                    (Class::Schema, _) => quote_identifier(schema.unwrap_or_default())?,
                    (Class::Database, _) => quote_identifier(database)?,
                    _ => quote_qualified(schema.unwrap_or_default(), spec.name.as_deref().unwrap_or_default())?,
                };
                format!("{} {name}", class.sql())
            }
        };
        Ok(Self { before, object, role })
    }

    fn grant(&self, spec: &GrantSpec) -> Result<String, Failure> {
        let Self { before, object, role } = self;
        let option = if spec.with_grant_option { " WITH GRANT OPTION" } else { "" };
        let privileges = match spec.privileges.iter().any(|name| name == ALL) {
            true => "ALL PRIVILEGES".to_owned(),
            false => {
                let privileges: Result<BTreeSet<String>, _> = spec.privileges.iter().map(|name| sql_of(name)).collect();
                let privileges = privileges?;
                if privileges.iter().any(String::is_empty) {
                    return Err(Failure::invalid("it names what is no privilege"));
                }
                privileges.into_iter().collect::<Vec<_>>().join(", ")
            }
        };
        Ok(format!("{before}GRANT {privileges} ON {object} TO {role}{option}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant_of(json: serde_json::Value) -> String {
        let spec: GrantSpec = serde_json::from_value(json).expect("a grant");
        Target::of(&spec, "main", None).and_then(|target| target.grant(&spec)).expect("a statement")
    }

    fn line(object: &str, privilege: &str, column: Option<&str>) -> Line {
        Line {
            before: String::new(),
            word: "TABLE".to_owned(),
            object: object.to_owned(),
            owner: "o".to_owned(),
            grantor: "o".to_owned(),
            privilege: privilege.to_owned(),
            column: column.map(str::to_owned),
            grantable: false,
        }
    }

    #[test]
    fn objects_that_lose_the_same_go_together() {
        let lines = [line("s.a", "DELETE", None), line("s.b", "DELETE", None), line("s.c", "SELECT", Some("E-Mail"))];
        let lines: Vec<&Line> = lines.iter().collect();
        assert_eq!(
            revocations("r\"", &lines, false).expect("no NUL"),
            [
                r#"REVOKE DELETE ON TABLE s.a, s.b FROM "r""" CASCADE"#,
                r#"REVOKE SELECT ("E-Mail") ON TABLE s.c FROM "r""" CASCADE"#
            ]
        );
        assert_eq!(
            revocations("public", &lines[..1], true).expect("no NUL"),
            ["REVOKE GRANT OPTION FOR DELETE ON TABLE s.a FROM PUBLIC CASCADE"]
        );
    }

    #[test]
    fn what_stays_is_named_with_who_granted_it() {
        let mut left = line("s.a", "SELECT", None);
        left.grantor = "lead".to_owned();
        let error = refuse_left("r", [&left].into_iter()).expect_err("it stays").to_string();
        assert!(error.contains(r#"SELECT on table s.a was granted by "lead""#), "{error}");
        assert!(refuse_left("r", std::iter::empty()).is_ok());
    }

    #[test]
    fn default_privileges_belong_to_who_makes_the_objects() {
        let wanted = serde_json::json!({"role": "public", "on": "defaultFunctions", "schema": "s", "grantor": "g",
            "privileges": ["EXECUTE"], "withGrantOption": true});
        assert_eq!(
            grant_of(wanted),
            r#"ALTER DEFAULT PRIVILEGES FOR ROLE "g" IN SCHEMA "s" GRANT EXECUTE ON ROUTINES TO PUBLIC WITH GRANT OPTION"#
        );
    }

    #[test]
    fn all_is_what_the_server_means_by_it() {
        let wanted = serde_json::json!({"role": "r", "on": "allTables", "schema": "s", "privileges": ["ALL"]});
        assert_eq!(grant_of(wanted), r#"GRANT ALL PRIVILEGES ON ALL TABLES IN SCHEMA "s" TO "r""#);
    }

    #[test]
    fn only_keywords_pass_as_privileges() {
        assert_eq!(sql_of("SELECT; DROP x").expect("no NUL"), "SELECTDROP");
        assert_eq!(sql_of("select").expect("no NUL"), "");
        assert_eq!(sql_of("UPDATE (a\"b)").expect("no NUL"), r#"UPDATE ("a""b")"#);
    }
}
