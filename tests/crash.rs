//! An apply killed with SIGKILL at every point of its journal, one after the other: one more run reaches the same end.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::postgres::{World, execute, in_database};
use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use sqlx::ConnectOptions as _;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// Runs that are killed at the same time.
const AT_ONCE: usize = 8;

/// An estate whose names end with a suffix, for roles belong to the whole server.
fn write_estate(folder: &Path, suffix: &str, sandbox: bool) {
    let config = format!(
        "[estate]\nname = \"crash-{}\"\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n\
         [targets.main]\nprovider = \"postgres\"\nsandbox = {sandbox}\nurl = \"env:TENANTRY_POSTGRES_URL\"\n",
        suffix.replace('_', "-")
    );
    let mut documents = format!(
        r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {{name: standard}}
spec: {{rank: 1, blueprints: [saas]}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {{name: register}}
spec:
  scope: estate
  resources:
    - {{id: register, kind: postgres.schema, spec: {{name: "register_{suffix}"}}}}
    - id: tables
      kind: postgres.script
      dependsOn: [register]
      spec: {{name: tables_{suffix}, sql: "CREATE TABLE register_{suffix}.tenants (name text PRIMARY KEY, role text)"}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {{name: saas}}
spec:
  scope: tenant
  resources:
    - id: role
      kind: postgres.role
      spec: {{name: "${{tenant.name}}_{suffix}", login: true, password: "${{secret('password')}}"}}
    - {{id: schema, kind: postgres.schema, spec: {{name: "t_${{resources.role.name}}"}}}}
    - id: usage
      kind: postgres.grant
      spec: {{role: "${{resources.role.name}}", on: schema, schema: "${{resources.schema.name}}", privileges: [USAGE]}}
    - id: row
      kind: postgres.row
      dependsOn: [estate/tables]
      spec:
        schema: register_{suffix}
        table: tenants
        key: {{name: "${{tenant.name}}"}}
        columns: {{role: "${{resources.role.name}}"}}
"#
    );
    for tenant in TENANTS {
        let _ = write!(
            documents,
            "---\napiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {tenant}}}\nspec: {{displayName: {tenant}, tier: standard, phase: active}}\n"
        );
    }
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    std::fs::write(folder.join("tenantry.toml"), config).expect("the configuration");
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("the documents");
}

/// One estate that is applied, killed and applied again.
struct Trial {
    folder: TempDir,
    url: String,
    identity: String,
}

impl Trial {
    fn new(suffix: &str, url: Option<&str>) -> Self {
        let folder = TempDir::new().expect("a folder");
        write_estate(folder.path(), suffix, url.is_none());
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        Self { folder, url: url.unwrap_or_default().to_owned(), identity }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command
            .env_clear()
            .env("TENANTRY_POSTGRES_URL", &self.url)
            .env("TENANTRY_AGE_IDENTITY", &self.identity)
            .arg("-C")
            .arg(self.folder.path())
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// Applies until a point of the journal and kills the process there. False if the run has fewer points.
    fn kill_at(&self, point: u64) -> bool {
        let mut child = self
            .command(&["apply", "--auto-approve", "--quiet", "--parallelism", "1"])
            .env("TENANTRY_HALT_AT", point.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let halted = says_halted(&mut child);
        // On Unix this is SIGKILL: nothing of the process runs any more.
        child.kill().expect("the process is killed");
        child.wait().expect("the process has ended");
        halted
    }

    /// Applies again, at once: nobody waits for the lease of a process that is dead.
    fn apply_again(&self, point: u64) {
        let output = self.run(&["apply", "--auto-approve", "--quiet"]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "after a crash at {point}:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Nothing is left to do, nothing is left open, and the journal is complete.
    fn assert_settled(&self, point: u64) {
        let plan = self.run(&["plan", "--detailed-exitcode"]);
        let text = String::from_utf8_lossy(&plan.stdout);
        assert_eq!(plan.status.code(), Some(0), "after a crash at {point}:\n{text}");
        assert!(text.contains(&format!("{} unchanged", 2 + 4 * TENANTS.len())), "after a crash at {point}:\n{text}");
        let history = self.run(&["history", "--verify"]);
        assert_eq!(history.status.code(), Some(0), "after a crash at {point}");
        let list = self.run(&["list", "--format", "json"]);
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("a list");
        for tenant in list.as_array().expect("tenants") {
            assert_eq!(
                (tenant["appliedPhase"].as_str(), tenant["resources"].as_u64()),
                (Some("active"), Some(4)),
                "{tenant}"
            );
        }
    }

    /// Everything in the simulated world, without the hashes of passwords, which are drawn anew in each trial.
    async fn world(&self) -> BTreeSet<String> {
        let path = self.folder.path().join(".tenantry/default/sandbox.db");
        let mut connection =
            sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.expect("the world");
        let rows: Vec<(String, String, String, Option<String>)> =
            sqlx::query_as("SELECT kind, identity, spec, mark FROM resources")
                .fetch_all(&mut connection)
                .await
                .expect("rows");
        let without_hash = |mark: Option<String>| {
            let mut mark: serde_json::Value =
                mark.map_or(serde_json::Value::Null, |mark| serde_json::from_str(&mark).expect("a mark"));
            mark.as_object_mut().and_then(|mark| mark.remove("secret_hash"));
            mark
        };
        rows.into_iter()
            .map(|(kind, identity, spec, mark)| format!("{kind} {identity} {spec} {}", without_hash(mark)))
            .collect()
    }
}

fn says_halted(child: &mut Child) -> bool {
    let stderr = child.stderr.take().expect("stderr is piped");
    BufReader::new(stderr).lines().any(|line| line.is_ok_and(|line| line == "halted"))
}

/// Kills at every point, several at a time, until a run ends before its point comes. Returns the number of points.
fn at_every_point(trial: impl Fn(u64) -> bool + Sync) -> u64 {
    let next = AtomicU64::new(0);
    let last = AtomicU64::new(u64::MAX);
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                loop {
                    let point = next.fetch_add(1, Ordering::SeqCst);
                    if point >= last.load(Ordering::SeqCst) {
                        return;
                    }
                    if !trial(point) {
                        last.fetch_min(point, Ordering::SeqCst);
                        return;
                    }
                }
            });
        }
    });
    last.into_inner()
}

/// Two for the run's beginning and end each, and for each owner's steps begun, steps ended, and phase.
const POINTS: u64 = 2 * (2 + 2 + 3 * TENANTS.len() as u64);

#[test]
fn killed_at_any_point_one_more_run_reaches_the_same_end() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let undisturbed = Trial::new("sim", None);
    assert_eq!(undisturbed.run(&["apply", "--auto-approve"]).status.code(), Some(0));
    let end = runtime.block_on(undisturbed.world());
    assert_eq!(end.len(), 2 + 4 * TENANTS.len());
    let points = at_every_point(|point| {
        let trial = Trial::new("sim", None);
        let halted = trial.kill_at(point);
        trial.apply_again(point);
        trial.assert_settled(point);
        assert_eq!(runtime.block_on(trial.world()), end, "after a crash at {point}");
        halted
    });
    // Scripts stand alone in their batch or not, so there may be more points, never fewer.
    assert!(points >= POINTS, "only {points} points were seen");
}

#[test]
fn killed_at_any_point_a_real_server_comes_to_the_same_end() {
    in_database("killed_at_any_point_a_real_server_comes_to_the_same_end", async |world: &World| {
        let mut admin = world.connect().await;
        let url = world.options().to_url_lossy().to_string();
        let suffix = |point: u64| format!("{}_{point}", world.suffix);
        let points = at_every_point(|point| {
            let trial = Trial::new(&suffix(point), Some(&url));
            let halted = trial.kill_at(point);
            trial.apply_again(point);
            trial.assert_settled(point);
            halted
        });
        assert!(points >= POINTS, "only {points} points were seen");
        for point in 0..points {
            let suffix = suffix(point);
            let rows: Vec<(String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "SELECT name, role FROM register_{suffix}.tenants ORDER BY name"
            )))
            .fetch_all(&mut admin)
            .await
            .expect("the register");
            let wanted: Vec<(String, String)> =
                TENANTS.iter().map(|tenant| ((*tenant).to_owned(), format!("{tenant}_{suffix}"))).collect();
            assert_eq!(rows, wanted, "after a crash at {point}");
        }
        let roles: Vec<String> =
            sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolname LIKE '%\\_' || $1 || '\\_%'")
                .bind(&world.suffix)
                .fetch_all(&mut admin)
                .await
                .expect("roles");
        assert!(roles.len() >= TENANTS.len() * usize::try_from(points).expect("few"));
        for role in roles {
            execute(&mut admin, &format!("DROP OWNED BY \"{role}\" CASCADE; DROP ROLE \"{role}\"")).await;
        }
    });
}

/// The table holds what the newer run wrote, whatever the older one still had in hand.
#[test]
fn a_run_that_was_stopped_in_a_transaction_commits_nothing_when_it_goes_on() {
    let name = "a_run_that_was_stopped_in_a_transaction_commits_nothing_when_it_goes_on";
    in_database(name, async |world: &World| {
        // Writing a row takes a while, so that the run can be met in the middle of its transaction.
        world
            .by_hand(
                "CREATE TABLE public.settings (tenant text PRIMARY KEY, level int); \
                 CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN IF NEW.level < 5 THEN PERFORM pg_catalog.pg_sleep(1.5); END IF; RETURN NEW; END $$; \
                 CREATE TRIGGER slowly BEFORE INSERT OR UPDATE ON public.settings \
                 FOR EACH ROW EXECUTE FUNCTION public.slowly()",
            )
            .await;
        let url = world.options().to_url_lossy().to_string();
        let trial = Trial { folder: TempDir::new().expect("a folder"), ..Trial::new("stop", Some(&url)) };
        write_level(trial.folder.path(), 3);
        let older = trial
            .command(&["apply", "--auto-approve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut connection = world.connect().await;
        let sleeping = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event = 'PgSleep'";
        let asleep = async {
            while sqlx::query_scalar::<_, i64>(sleeping).fetch_one(&mut connection).await.expect("answers") == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asleep).await.expect("it is in its transaction");
        signal(&older, "STOP");

        write_level(trial.folder.path(), 7);
        let newer = trial.run(&["apply", "--auto-approve", "--lock-timeout", "60s"]);
        let newer = (newer.status.code(), String::from_utf8_lossy(&newer.stderr).into_owned());
        signal(&older, "CONT");
        let went_on = tokio::task::spawn_blocking(move || older.wait_with_output()).await.expect("no panic");
        let went_on = went_on.expect("it ends");
        assert_eq!(newer.0, Some(0), "{}", newer.1);
        assert!(newer.1.contains("Waiting for the lock of acme"), "{}", newer.1);
        let said = String::from_utf8_lossy(&went_on.stderr);
        assert_eq!(went_on.status.code(), Some(4), "{said}");
        assert!(said.contains("taken over by another run"), "{said}");

        let levels: Vec<i32> =
            sqlx::query_scalar("SELECT level FROM public.settings").fetch_all(&mut connection).await.expect("rows");
        assert_eq!(levels, [7]);
        assert_eq!(trial.run(&["plan", "--detailed-exitcode"]).status.code(), Some(0), "nothing is left to do");
    });
}

/// Each tenant has one of three schemas, and a grant of a role that all share. `shift` says who has which.
fn write_rotation(folder: &Path, shift: usize) {
    let config = "[estate]\nname = \"rotation\"\n[offboarding]\nretention_days = 0\nmin_retention_days = 0\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n\
         [targets.main]\nprovider = \"postgres\"\nsandbox = true\nurl = \"env:TENANTRY_POSTGRES_URL\"\n";
    let mut documents = r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: standard}
spec: {rank: 1, blueprints: [space]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: shared}
spec: {scope: estate, resources: [{id: reader, kind: postgres.role, spec: {name: reader}}]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: space}
spec:
  scope: tenant
  resources:
    - {id: schema, kind: postgres.schema, spec: {name: "${tenant.values.space}"}}
    - id: usage
      kind: postgres.grant
      dependsOn: [estate/reader]
      spec: {role: reader, on: schema, schema: "${resources.schema.name}", privileges: [USAGE]}
"#
    .to_owned();
    for (at, tenant) in TENANTS.iter().enumerate() {
        let space = ["north", "east", "south"][(at + shift) % TENANTS.len()];
        let _ = write!(
            documents,
            "---\napiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {tenant}}}\nspec: {{displayName: {tenant}, tier: standard, phase: active, values: {{space: {space}}}}}\n"
        );
    }
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    std::fs::write(folder.join("tenantry.toml"), config).expect("the configuration");
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("the documents");
}

/// An estate that is applied, and whose tenants have then changed their places in the repository.
fn rotated() -> Trial {
    let trial = Trial { folder: TempDir::new().expect("a folder"), ..Trial::new("rotation", None) };
    write_rotation(trial.folder.path(), 0);
    let applied = trial.run(&["apply", "--auto-approve", "--quiet"]);
    assert_eq!(applied.status.code(), Some(0), "{}", String::from_utf8_lossy(&applied.stderr));
    write_rotation(trial.folder.path(), 1);
    trial
}

/// The schemas carry marks and the grants do not.
#[test]
fn killed_at_any_point_resources_that_change_places_all_arrive() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let undisturbed = rotated();
    let plan = undisturbed.run(&["plan"]);
    let plan = String::from_utf8_lossy(&plan.stdout);
    assert!(plan.contains("6 to move") && !plan.contains("to create"), "{plan}");
    assert_eq!(undisturbed.run(&["apply", "--auto-approve"]).status.code(), Some(0));
    let end = runtime.block_on(undisturbed.world());
    let points = at_every_point(|point| {
        let trial = rotated();
        let halted = trial.kill_at(point);
        trial.apply_again(point);
        let plan = trial.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(plan.status.code(), Some(0), "at {point}: {}", String::from_utf8_lossy(&plan.stdout));
        assert_eq!(trial.run(&["history", "--verify"]).status.code(), Some(0), "after a crash at {point}");
        assert_eq!(runtime.block_on(trial.world()), end, "after a crash at {point}");
        halted
    });
    // Two for the run's beginning and end each, for the records, and for each tenant's two batches, begun and ended.
    assert!(points >= 2 * (3 + 2 * TENANTS.len() as u64), "only {points} points were seen");
}

#[test]
fn resources_that_change_places_may_do_so_one_tenant_at_a_time() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let together = rotated();
    assert_eq!(together.run(&["apply", "--auto-approve"]).status.code(), Some(0));
    let end = runtime.block_on(together.world());
    let trial = rotated();
    for tenant in TENANTS {
        let applied = trial.run(&["apply", "--auto-approve", "--tenant", tenant]);
        let said = String::from_utf8_lossy(&applied.stdout);
        assert_eq!(applied.status.code(), Some(0), "{tenant}: {said}");
        assert!(said.contains(" to move") && !said.contains("renamed with its owner"), "{said}");
    }
    assert_eq!(trial.run(&["plan", "--detailed-exitcode"]).status.code(), Some(0));
    assert_eq!(runtime.block_on(trial.world()), end);
    let history = String::from_utf8_lossy(&trial.run(&["history"]).stdout).into_owned();
    assert!(
        history.contains("recordMoved") && history.contains("acme/schema has the record of globex/schema"),
        "{history}"
    );
}

/// Half-way, one of them leaves: what it had been given is its own, and nothing else.
#[test]
fn who_leaves_in_the_middle_of_a_change_of_places_takes_its_own_along() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let trial = rotated();
    assert_eq!(trial.run(&["apply", "--auto-approve", "--tenant", "acme"]).status.code(), Some(0));
    // globex was to have the third schema and initech the first.
    let path = trial.folder.path().join("tenants/all.yaml");
    let text = std::fs::read_to_string(&path).expect("the documents");
    let deleted = text.replace(
        "displayName: globex, tier: standard, phase: active",
        "displayName: globex, tier: standard, phase: deleting",
    );
    std::fs::write(&path, &deleted).expect("the documents");
    let _ = trial.run(&["apply", "--auto-approve"]);
    std::fs::write(&path, deleted.replace("phase: deleting", "phase: deleted") + APPROVED).expect("the documents");
    let applied = trial.run(&["apply", "--auto-approve"]);
    assert_eq!(applied.status.code(), Some(0), "{}", String::from_utf8_lossy(&applied.stdout));
    let names: Vec<String> =
        runtime.block_on(trial.world()).into_iter().filter(|row| row.contains("postgres.schema ")).collect();
    assert!(names.len() == 2 && names[0].contains("acme/schema") && names[1].contains("initech/schema"), "{names:?}");
}

const APPROVED: &str = r#"---
apiVersion: tenantry.dev/v1
kind: Approval
metadata: {name: leaves}
spec: {reason: agreed, expires: "2999-01-01T00:00:00Z", allow: [delete], addresses: ["globex/*"]}
"#;

fn write_level(folder: &Path, level: u32) {
    let config = "[estate]\nname = \"stopped\"\n[limits]\nlease_seconds = 5\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n\
         [targets.main]\nprovider = \"postgres\"\nurl = \"env:TENANTRY_POSTGRES_URL\"\n";
    let documents = format!(
        r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {{name: standard}}
spec: {{rank: 1, blueprints: [saas], quotas: {{level: 1}}}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {{name: saas}}
spec:
  scope: tenant
  resources:
    - id: settings
      kind: postgres.row
      spec: {{schema: public, table: settings, key: {{tenant: "${{tenant.name}}"}}, columns: {{level: "${{tenant.quotas.level}}"}}}}
---
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {{name: acme}}
spec: {{displayName: Acme, tier: standard, phase: active, quotas: {{level: {level}}}}}
"#
    );
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    std::fs::write(folder.join("tenantry.toml"), config).expect("writes");
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("writes");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success(), "kill -{name}");
}
