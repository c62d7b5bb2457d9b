//! What servers say beside success: it reaches the step that it is about, and whoever applies.

use std::path::Path;

use assert_fs::TempDir;
use futures::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use sqlx::ConnectOptions as _;
use tenantry_core::model::resource::Desired;
use tenantry_provider::conformance::WriteUnguarded as _;

use crate::command::{NOW, Said, tenantry};
use crate::support::postgres::{World, in_database};
use crate::support::{create, delete, present};

fn script(world: &World, id: &str, sql: &str) -> Desired {
    world.desired("script", &format!("acme/{id}"), json!({"name": id, "sql": sql}))
}

fn raise(level: &str, words: &str) -> String {
    format!("DO $$ BEGIN RAISE {level} '{words}'; END $$")
}

#[test]
fn each_step_of_a_transaction_hears_what_is_about_it() {
    in_database("each_step_of_a_transaction_hears_what_is_about_it", async |world| {
        let schema = world.desired("schema", "acme/schema", json!({"name": "acme"}));
        let first = script(world, "first", &format!("{};\n{}", raise("NOTICE", "one"), raise("WARNING", "two")));
        let silent = script(world, "silent", &raise("DEBUG", "nobody asked"));
        let last = script(
            world,
            "last",
            "CREATE TABLE IF NOT EXISTS acme.t (a int); CREATE TABLE IF NOT EXISTS acme.t (a int)",
        );
        let batch = [&first, &schema, &silent, &last].map(create);
        let written = world.writer().write(&batch).await.expect("it is written");
        let said: Vec<Vec<String>> = written.into_iter().map(|written| written.notices).collect();
        let expected: [&[&str]; 4] =
            [&["NOTICE: one", "WARNING: two"], &[], &[], &["NOTICE: relation \"t\" already exists, skipping"]];
        assert_eq!(said, expected);
        // It takes everything with it, and was asked to.
        let before = present(world.observe(&schema).await);
        let gone = world.writer().write(&[delete(&schema, &before)]).await.expect("it is deleted");
        assert_eq!(gone[0].notices, [""; 0]);
    });
}

#[test]
fn what_a_deferred_trigger_says_at_the_commit_is_heard() {
    in_database("what_a_deferred_trigger_says_at_the_commit_is_heard", async |world| {
        world
            .by_hand(
                "CREATE TABLE public.seats (id int PRIMARY KEY, n int); \
                 CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE WARNING 'seat % is checked late', NEW.id; RETURN NULL; END $$; \
                 CREATE CONSTRAINT TRIGGER look AFTER INSERT ON public.seats DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW EXECUTE FUNCTION public.look()",
            )
            .await;
        let spec = json!({"schema": "public", "table": "seats", "key": {"id": 7}, "columns": {"n": 1}});
        let row = world.desired("row", "acme/seat", spec);
        let written = world.writer().write(&[create(&row)]).await.expect("it is written");
        assert_eq!(written[0].notices, ["WARNING: seat 7 is checked late"]);
    });
}

#[test]
fn tenants_that_are_written_at_the_same_time_do_not_hear_each_other() {
    in_database("tenants_that_are_written_at_the_same_time_do_not_hear_each_other", async |world| {
        let writer = world.writer();
        let tenants = join_all((0..12).map(async |tenant| {
            let slowly =
                format!("SELECT pg_sleep(0.01); {}; SELECT pg_sleep(0.01);", raise("NOTICE", &format!("of {tenant}")));
            let spec = json!({"name": format!("t{tenant}"), "sql": slowly.repeat(3)});
            let script = world.desired("script", &format!("tenant-{tenant}/script"), spec);
            let written = writer.write(&[create(&script)]).await.expect("it is written");
            assert_eq!(written[0].notices, [format!("NOTICE: of {tenant}")]);
        }));
        tenants.await;
    });
}

#[test]
fn a_notice_quotes_no_secret() {
    in_database("a_notice_quotes_no_secret", async |world| {
        // Another step of the transaction has it.
        let role = json!({"name": world.name("acme"), "password": "hunter2-hunter2"});
        let role = create(&world.desired("role", "acme/role", role));
        let plain = create(&script(world, "s", &raise("NOTICE", "the key is hunter2-hunter2")));
        let written = world.writer().write(&[role, plain]).await.expect("it is written");
        assert_eq!(written[1].notices, ["NOTICE: the key is (secret)"]);
    });
}

/// An estate of one tenant, and how the command is run in it.
pub struct Estate {
    folder: TempDir,
    url: String,
    identity: String,
}

impl Estate {
    pub fn new(world: &World) -> Self {
        let folder = TempDir::new().expect("a folder");
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        // Roles belong to the whole server, and so do their marks: no other estate may be called so.
        let config = format!(
            "[estate]\nname = \"shop-{}\"\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n\
             [targets.main]\nprovider = \"postgres\"\nurl = \"env:TENANTRY_POSTGRES_URL\"\n",
            world.suffix
        );
        std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
        std::fs::write(folder.path().join("tenantry.toml"), config).expect("writes");
        let url = world.as_login().to_url_lossy().to_string();
        Self { folder, url, identity }
    }

    pub fn write(&self, resources: &str) {
        let documents = format!(
            "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: standard}}\nspec: {{rank: 1, blueprints: [saas]}}\n---\n\
             apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: acme}}\n\
             spec: {{displayName: Acme, tier: standard, phase: active}}\n---\n\
             apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: saas}}\n\
             spec:\n  scope: tenant\n  resources:\n{resources}"
        );
        std::fs::write(self.path().join("tenants/all.yaml"), documents).expect("writes");
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = tenantry(self.path());
        command.env("TENANTRY_POSTGRES_URL", &self.url).env("TENANTRY_AGE_IDENTITY", &self.identity);
        Said::of(command.args(arguments).args(["--now", NOW]).output().expect("the command starts"))
    }
}

#[test]
fn whoever_applies_reads_what_the_server_said_below_the_resource() {
    in_database("whoever_applies_reads_what_the_server_said_below_the_resource", async |world| {
        let estate = Estate::new(world);
        let script = |words: &str| {
            format!(
                "    - id: schema\n      kind: postgres.schema\n      spec: {{name: acme}}\n    - id: seed\n      \
                 kind: postgres.script\n      dependsOn: [schema]\n      spec:\n        name: seed\n        sql: |\n          \
                 DO $$ BEGIN RAISE WARNING E'{words}'; END $$\n"
            )
        };
        estate.write(&script(r"three rows\nhad \u001b[31mno region"));
        let applied = estate.run(&["apply", "--auto-approve"]);
        assert_eq!(applied.exit, 0, "{applied:#?}");
        let report = "acme: 2 of 2 changes done\n  + acme/seed: created\n      \
            WARNING: three rows\\nhad \\u{1b}[31mno region\n\nApplied: 2 changes done for 1 owner. Run 1.\n";
        assert!(applied.out.ends_with(report), "{}", applied.out);
        // The log would have it unmasked.
        assert!(!applied.err.contains("region"), "{}", applied.err);

        estate.write(&script("again"));
        let applied = estate.run(&["apply", "--auto-approve", "--format", "json"]);
        assert_eq!(applied.exit, 0, "{applied:#?}");
        let events: Vec<Json> = applied.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let noticed: Vec<&Json> = events.iter().filter(|event| event["event"] == "noticed").collect();
        let address = &events.iter().find(|event| event["event"] == "stepEnded").expect("a step")["address"];
        assert_eq!(noticed, [&json!({"event": "noticed", "address": address, "notices": ["WARNING: again"]})]);
        let nothing = estate.run(&["apply", "--auto-approve"]);
        assert!(nothing.exit == 0 && !nothing.out.contains("again"), "{nothing:#?}");
    });
}
