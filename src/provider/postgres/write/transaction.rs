//! One transaction: what was seen when it began, and the statements that wait to be sent.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::{Either, PgConnection};

use super::login::{Login, Standing};
use super::sessions::Ended;
use super::{OfStep, StepFailure, grant, lock};
use crate::error::{Failed as _, Failure};
use crate::read::policy::{self, PolicyState};
use crate::read::role::{self, RoleState};
use crate::read::schema::{self, SchemaState};
use crate::types::{self, policy::PolicySpec};
use tenantry_kit::parse;
use tenantry_provider::contract::{CommitGuard, Step};
use tenantry_provider::notices;

/// How every transaction begins that writes. Waiting for a lock has an end, so that one stuck session stops one tenant
/// and not the run. Looking at what is to be changed takes longer to plan than to do: one plan does for every tenant.
///
/// The search path stays as the server has it: triggers of the product run in this session and look their tables up in it.
/// Every statement of ours names the schema of whatever it is about.
const BEGIN: &str = "BEGIN; SET LOCAL row_security = off; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL intervalstyle = 'postgres'; SET LOCAL plan_cache_mode = 'force_generic_plan'; \
    SET LOCAL lock_timeout = '120s'; ";

/// Around what depends on the search path in how the server prints it, so that it is printed as it is for the reader.
pub const EMPTY_PATH: &str = "SET LOCAL search_path = ''";
pub const OWN_PATH: &str = "SET LOCAL search_path TO DEFAULT";

const AFTER_LOCKS: &str = "SET LOCAL lock_timeout = '15s'";

/// The server undoes a transaction that hears nothing from us for so long.
fn ends_when_idle_for(grace: Duration) -> String {
    // Zero would switch it off.
    format!("SET LOCAL idle_in_transaction_session_timeout = {}", grace.as_millis().clamp(1, i32::MAX as u128))
}

/// Something that has an owner, by name.
pub enum Owned<'a> {
    Schema(&'a str),
    /// Schema and name.
    Table(&'a str, &'a str),
    Extension(&'a str),
}

/// What is left to do after a transaction.
pub struct Committed {
    /// Whether the connection can be used again.
    pub is_clean: bool,
    /// What the server said of each step beside success.
    pub notices: Vec<Vec<String>>,
    pub login: Login,
    pub ended: Vec<Ended>,
}

pub struct Transaction<'a> {
    pub connection: &'a mut PgConnection,
    /// The one that the connection is to.
    pub database: &'a str,
    pub bookkeeping_schema: &'a str,
    pub roles: HashMap<String, RoleState>,
    pub schemas: HashMap<String, SchemaState>,
    pub policies: HashMap<(String, String, String), PolicyState>,
    pending: Vec<(usize, String)>,
    /// What the server said of each step beside success.
    notices: Vec<Vec<String>>,
    pub login: Login,
    /// Whether what the steps do may take our own access away.
    may_lose_access: bool,
    /// Roles whose privileges are needed, with what gives a membership back that was taken for it.
    memberships: BTreeMap<String, Option<String>>,
    /// Roles that lose their access with this transaction.
    pub ended: Vec<Ended>,
    /// Whether the session is as it was; a script may have changed its settings for good.
    pub is_clean: bool,
}

impl<'a> Transaction<'a> {
    /// Begins, takes the locks that the steps share with other tenants' steps, and looks at what is to be changed.
    pub async fn begin(
        connection: &'a mut PgConnection,
        database: &'a str,
        bookkeeping_schema: &'a str,
        login: &Login,
        steps: &[Step],
        grace: Duration,
    ) -> Result<Self, Failure> {
        let mut begin = format!("{BEGIN}{}; ", ends_when_idle_for(grace));
        let keys = lock::keys(steps);
        if !keys.is_empty() {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            begin.push_str(&format!(
                "SELECT pg_catalog.pg_advisory_xact_lock(k.key) FROM pg_catalog.unnest('{{{}}}'::int8[]) AS k (key); ",
                keys.join(",")
            ));
        }
        begin.push_str(AFTER_LOCKS);
        sqlx::raw_sql(sqlx::AssertSqlSafe(begin)).execute(&mut *connection).await?;

        let mut transaction = Self {
            connection,
            database,
            bookkeeping_schema,
            roles: HashMap::new(),
            schemas: HashMap::new(),
            policies: HashMap::new(),
            pending: Vec::new(),
            notices: vec![Vec::new(); steps.len()],
            login: login.clone(),
            may_lose_access: !login.is_superuser && steps.iter().any(grant::is_on_database),
            memberships: BTreeMap::new(),
            ended: Vec::new(),
            is_clean: true,
        };
        transaction.look(steps).await?;
        // Of what no step asked for.
        notices::take();
        Ok(transaction)
    }

    async fn look(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let names = |kind: &str| -> Vec<String> {
            let of_kind = steps.iter().filter(|step| step.kind.name == kind);
            of_kind.filter_map(|step| step.spec().get("name")?.as_str().map(str::to_owned)).collect()
        };
        let roles = names(types::role::NAME);
        if !roles.is_empty() {
            let states = role::fetch(&mut *self.connection, &roles, None).await?;
            self.roles = states.into_iter().map(|state| (state.name.clone(), state)).collect();
        }
        let schemas = names(types::schema::NAME);
        if !schemas.is_empty() {
            let states = schema::fetch(&mut *self.connection, &schemas, None).await?;
            self.schemas = states.into_iter().map(|state| (state.name.clone(), state)).collect();
        }
        let mut policies = Vec::new();
        for step in steps.iter().filter(|step| step.kind.name == types::policy::NAME) {
            let spec: PolicySpec = parse(step.spec())?;
            policies.push((spec.schema, spec.table, spec.name));
        }
        if !policies.is_empty() {
            let states = policy::fetch(&mut *self.connection, &policies, None).await?;
            let key = |state: &PolicyState| (state.schema.clone(), state.table.clone(), state.name.clone());
            self.policies = states.into_iter().map(|state| (key(&state), state)).collect();
        }
        Ok(())
    }

    /// Runs a query of the catalogue whose answer spells names as the reader sees them.
    pub async fn looking<T>(
        &mut self,
        query: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        sqlx::raw_sql(EMPTY_PATH).execute(&mut *self.connection).await?;
        let found = query(&mut *self.connection).await?;
        sqlx::raw_sql(OWN_PATH).execute(&mut *self.connection).await?;
        Ok(found)
    }

    /// Sees to it that we have the privileges of a role, and may act as it, until the transaction ends. A superuser has them.
    /// Otherwise we become a member for as long as the transaction lasts, if we may grant the role; if we may not, the server
    /// itself says what is missing when it is asked for something.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn act_for(&mut self, step: usize, role: &str) -> Result<(), StepFailure> {
        if self.login.is_superuser
            || role.is_empty()
            || *role == *self.login.name
            || self.memberships.contains_key(role)
        {
            return Ok(());
        }
        self.flush().await?;
        let standing = self.login.standing(&mut *self.connection, role).await.of_step(step)?;
        let mut gives_back = None;
        if let Standing::MayJoin { before } = standing
            && self.join(step, role).await?
        {
            gives_back = Some(self.login.leave(role, before).of_step(step)?);
        }
        self.memberships.insert(role.to_owned(), gives_back);
        Ok(())
    }

    /// Becomes a member of a role. Returns whether the server took it: a service may keep some of its own roles to itself, and
    /// what is asked for may be possible all the same.
    async fn join(&mut self, step: usize, role: &str) -> Result<bool, StepFailure> {
        // Another transaction of ours may need the same role at this moment.
        let key = lock::key(&format!("member/{role}"));
        let join = self.login.join(role).of_step(step)?;
        let sql = format!(
            "SAVEPOINT membership; SELECT pg_catalog.pg_advisory_xact_lock({key}); {join}; RELEASE SAVEPOINT membership"
        );
        let Err(error) = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *self.connection).await else {
            return Ok(true);
        };
        let failure = Failure::from(error);
        if failure.class().is_transient() {
            return Err(failure).of_step(step);
        }
        let back = "ROLLBACK TO SAVEPOINT membership; RELEASE SAVEPOINT membership";
        sqlx::raw_sql(back).execute(&mut *self.connection).await.of_step(step)?;
        Ok(false)
    }

    /// As [`Self::act_for`], for whoever owns something. Does nothing where it is not there, or where we are a superuser.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn act_for_owner(&mut self, step: usize, owned: Owned<'_>) -> Result<(), StepFailure> {
        if self.login.is_superuser {
            return Ok(());
        }
        self.flush().await?;
        let owner: Option<String> = match owned {
            Owned::Schema(name) => {
                let sql = "SELECT pg_catalog.pg_get_userbyid(n.nspowner)::text FROM pg_catalog.pg_namespace n \
                           WHERE n.nspname = $1::text::name";
                sqlx::query_scalar(sql).bind(name).fetch_optional(&mut *self.connection).await.of_step(step)?
            }
            Owned::Table(schema, name) => {
                let sql = "SELECT pg_catalog.pg_get_userbyid(c.relowner)::text FROM pg_catalog.pg_class c \
                           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                           WHERE n.nspname = $1::text::name AND c.relname = $2::text::name";
                let query = sqlx::query_scalar(sql).bind(schema).bind(name);
                query.fetch_optional(&mut *self.connection).await.of_step(step)?
            }
            Owned::Extension(name) => {
                let sql = "SELECT pg_catalog.pg_get_userbyid(e.extowner)::text FROM pg_catalog.pg_extension e \
                           WHERE e.extname = $1::text::name";
                sqlx::query_scalar(sql).bind(name).fetch_optional(&mut *self.connection).await.of_step(step)?
            }
        };
        match owner {
            Some(owner) => self.act_for(step, &owner).await,
            None => Ok(()),
        }
    }

    /// Gives a membership up before the role itself goes.
    pub fn leave(&mut self, step: usize, role: &str) {
        if let Some(Some(statement)) = self.memberships.remove(role) {
            self.push(step, statement);
        }
    }

    /// Adds one statement of a step. It is sent with the next that cannot wait.
    pub fn push(&mut self, step: usize, statement: impl Into<String>) {
        self.pending.push((step, statement.into()));
    }

    /// The same of a statement that the server comments on although it does what it is meant to.
    pub fn push_quietly(&mut self, step: usize, statement: impl Into<String>) {
        self.push(step, "SET LOCAL client_min_messages = warning");
        self.push(step, statement);
        self.push(step, "SET LOCAL client_min_messages TO DEFAULT");
    }

    /// Puts what the server said since down to a step.
    pub fn hear(&mut self, step: usize) {
        hear(&mut self.notices, step);
    }

    /// Sends what waits.
    pub async fn flush(&mut self) -> Result<(), StepFailure> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        // A line break ends a comment with which a user's expression might end.
        let sql = pending.iter().map(|(_, statement)| statement.as_str()).collect::<Vec<_>>().join("\n;\n");
        let mut completed = 0;
        let mut results = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_many(&mut *self.connection);
        loop {
            match results.try_next().await {
                Ok(Some(Either::Left(_))) => {
                    // It comes before the end of the statement that it is about.
                    hear(&mut self.notices, step_of(&pending, completed));
                    completed += 1;
                }
                Ok(Some(Either::Right(_))) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error).of_step(step_of(&pending, completed)),
            }
        }
    }

    /// Sends what waits, gives back every membership that was taken, and commits, if the run still may. What the server says
    /// only when it commits, as a deferred trigger does, is put down to the last step.
    pub async fn commit(mut self, guard: &dyn CommitGuard) -> Result<Committed, StepFailure> {
        let last = self.pending.last().map_or(0, |(step, _)| *step);
        for statement in std::mem::take(&mut self.memberships).into_values().flatten() {
            self.push(last, statement);
        }
        if self.may_lose_access {
            self.flush().await?;
            self.login.check_access(&mut *self.connection).await.of_step(last)?;
        }
        // Once more, for a script may have set something else; and before the question, for the time runs from here: a
        // commit that is sent when the answer is no longer good finds its transaction ended.
        self.push(last, ends_when_idle_for(guard.grace()));
        self.flush().await?;
        guard.check().await.of_step(last)?;
        match sqlx::raw_sql("COMMIT").execute(&mut *self.connection).await {
            Ok(_) => {
                self.hear(self.notices.len().saturating_sub(1));
                let Self { is_clean, notices, login, ended, .. } = self;
                Ok(Committed { is_clean, notices, login, ended })
            }
            // Refused by the server, as by a deferred constraint: nothing was done.
            Err(error @ sqlx::Error::Database(_)) => Err(error).of_step(last),
            Err(error) => Err(Failure::CommitUnknown(error)).of_step(last),
        }
    }
}

/// The step that a statement of `pending` belongs to.
fn step_of(pending: &[(usize, String)], statement: usize) -> usize {
    pending.get(statement).or(pending.last()).map_or(0, |(step, _)| *step)
}

fn hear(notices: &mut [Vec<String>], step: usize) {
    if let Some(of_step) = notices.get_mut(step) {
        of_step.extend(notices::take());
    }
}
