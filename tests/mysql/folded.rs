//! A server that keeps names in lower case (`lower_case_table_names=1`), as on Windows or after a move from there.

use crate::support::said;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;

use super::{connect, execute, on_mysql};
use crate::support::{create, delete, observe};

/// A server of the test's own, which ends with it.
struct OwnServer {
    folder: PathBuf,
    server: Child,
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl OwnServer {
    async fn start(suffix: &str) -> (Self, String) {
        let folder = std::env::temp_dir().join(format!("tenantry-folded-{suffix}"));
        let data = format!("--datadir={}", folder.join("data").display());
        std::fs::create_dir_all(&folder).expect("a folder");
        // The server refuses to run as root unless it is told that this is meant.
        let common = ["--no-defaults", &data, "--user=root", "--lower-case-table-names=1", "--skip-name-resolve"];
        let mut install = Command::new("mariadb-install-db");
        install.args(common).args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        let made = install.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("MariaDB is installed");
        assert!(made.success());
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let mut command = Command::new("mariadbd");
        command.args(common).args(["--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-buffer-pool-size=16M"]);
        command.arg(format!("--port={port}")).arg(format!("--socket={}", folder.join("socket").display()));
        command.arg(format!("--pid-file={}", folder.join("pid").display()));
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("MariaDB is installed");
        let server = Self { folder, server };
        let url = format!("mysql://root@127.0.0.1:{port}");
        for _ in 0..600 {
            if connect(&url).await.is_ok() {
                return (server, url);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the server does not answer");
    }
}

#[test]
fn a_name_that_the_server_would_change_is_told_and_not_written() {
    on_mysql("a_name_that_the_server_would_change_is_told_and_not_written", async |target| {
        let (_server, url) = OwnServer::start(&target.suffix).await;
        let (reader, writer) = (target.reader_at(&url), target.writer_at(&url));
        let mut admin = connect(&url).await.expect("the server answers");
        execute(&mut admin, "CREATE DATABASE acme; CREATE TABLE acme.items (id int PRIMARY KEY, seats int)").await;
        execute(&mut admin, "INSERT INTO acme.items VALUES (1, 5); CREATE USER acme").await;
        let row = |database: &str, table: &str| json!({"database": database, "table": table, "key": {"id": 1}, "columns": {"seats": 5}});
        let grant = json!({"user": "acme", "on": "database", "database": "Acme", "privileges": ["SELECT"]});
        for (kind, spec) in [
            ("database", json!({"name": "Acme"})),
            ("grant", grant),
            ("row", row("Acme", "items")),
            ("row", row("acme", "Items")),
        ] {
            let wanted = target.desired(kind, &format!("acme/{kind}"), spec);
            let observations = observe(&*reader, &[&wanted], &[]).await;
            let observed = observations[wanted.kind.name].get(wanted.identity.as_deref().expect("an identity"));
            assert!(
                matches!(&observed, Observed::Unknown(reason) if said(reason).contains("lower case")),
                "{observed:?}"
            );
            let before = Present { spec: wanted.spec.shared(), ..Present::default() };
            for step in [create(&wanted), delete(&wanted, &before)] {
                let error = writer.write(&[step]).await.expect_err("it is another name").error;
                assert_eq!(error.class, ErrorClass::Fatal, "{error}");
                assert!(error.to_string().contains("lower case"), "{error}");
            }
        }
        // Users are kept as they are written.
        let user = target.desired("user", "acme/user", json!({"name": "Acme"}));
        writer.write(&[create(&user)]).await.expect("it is written");
        let seats = target.desired("row", "acme/row", row("acme", "items"));
        let observations = observe(&*reader, &[&seats, &user], &[]).await;
        for wanted in [&seats, &user] {
            let observed = observations[wanted.kind.name].get(wanted.identity.as_deref().expect("an identity"));
            target.assert_is(wanted, observed);
        }
    });
}
