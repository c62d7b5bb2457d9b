//! `drift` as it runs every night: what it tells apart, its reports, and whom it tells how often.

use std::fs;
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use sqlx::{Connection as _, Executor as _};

use crate::command::tenantry;
use crate::review::Estate;
use crate::support::server::{Asked, Reply, Server};

/// Does to the simulated targets what somebody would do by hand.
async fn by_hand(estate: &Estate, sql: &'static str) {
    let path = estate.path().join(".tenantry/default/sandbox.db");
    let mut world = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a world");
    world.execute(sql).await.expect("SQL");
    world.close().await.expect("closes");
}

const HIGHER: &str =
    "UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 99) WHERE identity IN ('ant', 'bee')";
const GONE: &str = "DELETE FROM resources WHERE identity = 'cat'";

fn exit(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn addresses(list: &Json) -> Vec<String> {
    let address = |entry: &Json| entry["address"].as_str().or(entry.as_str()).expect("an address").to_owned();
    list.as_array().expect("a list").iter().map(address).collect()
}

async fn drifted() -> Estate {
    let estate = Estate::new();
    estate.apply();
    by_hand(&estate, HIGHER).await;
    by_hand(&estate, GONE).await;
    // Not drift: the repository asks for something else now.
    estate.tenant("dog", "large", "another title");
    estate
}

#[tokio::test]
async fn an_estate_that_nobody_touched_has_none() {
    let estate = Estate::new();
    estate.apply();
    for _ in 0..2 {
        let output = estate.run(&["drift"]);
        assert_eq!(exit(&output), 0, "{}", err(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("\nNo drift, 10 as desired.\n"), "{text}");
    }
}

#[tokio::test]
async fn drift_is_told_apart_from_what_is_pending() {
    let estate = drifted().await;
    let output = estate.run(&["drift"]);
    assert_eq!(exit(&output), 2);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown: Vec<&str> = text.lines().collect();
    assert_eq!(
        shown[3..],
        [
            "2 owners with the same drift: ant, bee",
            "  ~ changed role postgres.role",
            "      connectionLimit: -1 → 99",
            "",
            "cat",
            "  - deleted role postgres.role cat  (tenants/blueprints.yaml:15)",
            "",
            "2 resources changed and 1 deleted outside Tenantry, 1 pending in the repository, 6 as desired.",
        ],
        "{text}"
    );
    let json: Json = serde_json::from_str(&estate.stdout(&["drift", "--format", "json"])).expect("JSON");
    assert_eq!(addresses(&json["drifted"]), ["ant/role", "bee/role", "cat/role"]);
    assert_eq!(addresses(&json["pending"]), ["dog/row"]);
    let field = &json["drifted"][0]["fields"][0];
    assert_eq!(
        (&field["path"], &field["wanted"], &field["found"]),
        (&json!("/connectionLimit"), &json!(-1), &json!(99))
    );
    let html = estate.stdout(&["drift", "--format", "html"]);
    assert!(html.contains("<title>Drift of estate shop</title>") && html.contains("2 resources changed and 1 deleted"));
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/drift.v1.schema.json"));
    let schema: Json = serde_json::from_str(&schema.expect("the schema is there")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert_eq!(validator.iter_errors(&json).map(|error| error.to_string()).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn rules_leave_out_what_others_may_change_for_a_while() {
    let estate = drifted().await;
    let rule = "\n[[drift.ignore]]\nkind = \"postgres.role\"\naddress = \"ant/*\"\nfield = \"connectionLimit\"\n\
        owner = \"sre\"\nreason = \"load test\"\nexpires = \"2030-06-30\"\n";
    let config = fs::read_to_string(estate.path().join("tenantry.toml")).expect("reads");
    estate.write("tenantry.toml", &format!("{config}{rule}"));
    let run = |now: &str| estate.run(&["drift", "--now", now, "--format", "json"]);
    let json: Json = serde_json::from_slice(&run("2030-06-30T23:00:00Z").stdout).expect("JSON");
    assert_eq!(addresses(&json["drifted"]), ["bee/role", "cat/role"]);
    assert_eq!((&json["ignored"][0]["address"], &json["ignored"][0]["owner"]), (&json!("ant/role"), &json!("sre")));
    let expired = run("2030-07-01T01:00:00Z");
    assert!(
        err(&expired).contains("The rule of sre for `connectionLimit` expired after 2030-06-30"),
        "{}",
        err(&expired)
    );
    let json: Json = serde_json::from_slice(&expired.stdout).expect("JSON");
    assert_eq!(addresses(&json["drifted"]), ["ant/role", "bee/role", "cat/role"]);
    // The repository still asks for the field: a rule is about reports.
    assert!(estate.stdout(&["plan", "--now", "2030-06-30T23:00:00Z"]).contains("connectionLimit"));

    // As a pointer, and until the last day that there is.
    let pointer = rule.replace("\"connectionLimit\"", "\"/connectionLimit\"").replace("2030-06-30", "9999-12-31");
    estate.write("tenantry.toml", &format!("{config}{pointer}"));
    let json: Json = serde_json::from_slice(&run("2030-07-01T01:00:00Z").stdout).expect("JSON");
    assert_eq!(addresses(&json["drifted"]), ["bee/role", "cat/role"]);
    estate.write("tenantry.toml", &format!("{config}{}", rule.replace("postgres.role", "postgres.rol")));
    let unknown = run("2030-06-30T23:00:00Z");
    assert_eq!(exit(&unknown), 1);
    assert!(err(&unknown).contains("did you mean `postgres.role`?"), "{}", err(&unknown));

    for (wrong, told) in [
        (rule.replace("2030-06-30", "2030-06-31"), "expires"),
        (rule.replace("owner = \"sre\"\n", ""), "owner"),
        (rule.replace("field", "feild"), "feild"),
    ] {
        estate.write("tenantry.toml", &format!("{config}{wrong}"));
        let output = estate.run(&["validate"]);
        assert_eq!(exit(&output), 1, "{wrong}");
        assert!(err(&output).contains(told) && err(&output).contains("tenantry.toml:"), "{}", err(&output));
    }
}

#[tokio::test]
async fn a_pipeline_gets_a_report_and_a_monitor_its_metrics() {
    let estate = drifted().await;
    estate.tenant("ant", "small", "<ant> & \"sons\"");
    let (junit, metrics) = (estate.path().join("drift.xml"), estate.path().join("tenantry.prom"));
    let (junit, metrics) = (junit.to_str().expect("a path"), metrics.to_str().expect("a path"));
    let output = estate.run(&["drift", "--quiet", "--junit", junit, "--metrics", metrics]);
    assert_eq!(exit(&output), 2, "{}", err(&output));
    let xml = fs::read_to_string(junit).expect("a report");
    assert!(xml.contains("tests=\"7\" failures=\"3\" errors=\"0\""), "{xml}");
    assert!(xml.contains("<testcase classname=\"shop\" name=\"dog\"/>"), "{xml}");
    assert!(xml.contains("name=\"bee\">\n      <failure message=\"changed outside Tenantry\">"), "{xml}");
    assert!(xml.contains("  connectionLimit: -1 → 99\n"), "{xml}");

    let text = fs::read_to_string(metrics).expect("metrics");
    let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    let kind = "estate=\"shop\",environment=\"\",target=\"main\",kind=\"postgres.role\"";
    has(&format!("tenantry_drift_resources{{{kind},state=\"changed\"}} 2"));
    has(&format!("tenantry_drift_resources{{{kind},state=\"deleted\"}} 1"));
    has("tenantry_drifted{estate=\"shop\",environment=\"\"} 3");
    has("tenantry_pending_resources{estate=\"shop\",environment=\"\"} 2");
    has("tenantry_tenants{estate=\"shop\",environment=\"\",tier=\"small\",phase=\"active\"} 3");
    assert!(text.contains("tenantry_last_apply_timestamp_seconds{"), "{text}");
    assert!(!fs::exists(format!("{metrics}.new")).expect("the folder is there"), "nothing is left beside the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_once_and_again_when_it_is_another_drift() {
    let estate = drifted().await;
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let status = Arc::new(Mutex::new(500));
    let server = {
        let (asked, status) = (asked.clone(), status.clone());
        Server::start(move |request| {
            asked.lock().expect("nobody panics").push(request);
            let status = *status.lock().expect("nobody panics");
            async move { Reply { status, body: b"no /services/T0/B0/secret here".to_vec(), ..Reply::default() } }
        })
        .await
    };
    let config = fs::read_to_string(estate.path().join("tenantry.toml")).expect("reads");
    estate.write("tenantry.toml", &format!("{config}\n[drift]\nwebhook = \"env:CHAT\"\n"));
    let chat = format!("{}/services/T0/B0/secret?key=hidden", server.url);
    let notify = |chat: Option<&str>| {
        let mut command = tenantry(estate.path());
        command.args(["drift", "--notify"]).env_remove("CHAT");
        if let Some(chat) = chat {
            command.env("CHAT", chat);
        }
        // The server answers on this runtime meanwhile.
        tokio::task::block_in_place(|| command.output().expect("the command runs"))
    };
    let count = || asked.lock().expect("nobody panics").len();

    let without = notify(None);
    assert_eq!(exit(&without), 1);
    assert!(err(&without).contains("CHAT is not set"), "{}", err(&without));
    let refused = notify(Some(&chat));
    assert_eq!((exit(&refused), count()), (1, 1));
    assert!(err(&refused).contains("127.0.0.1: it answered 500"), "{}", err(&refused));
    assert!(!err(&refused).contains("T0/B0") && !err(&refused).contains("hidden"), "{}", err(&refused));

    *status.lock().expect("nobody panics") = 200;
    assert_eq!((exit(&notify(Some(&chat))), count()), (2, 2), "what did not arrive is sent again");
    let message = asked.lock().expect("nobody panics")[1].clone();
    assert_eq!((message.path.as_str(), message.query.as_str()), ("/services/T0/B0/secret", "key=hidden"));
    let text = message.json()["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("*ant, bee*\n• changed role postgres.role: connectionLimit\n"), "{text}");
    assert!(!text.contains("99"), "values stay out of a chat: {text}");
    assert_eq!((exit(&notify(Some(&chat))), count()), (2, 2), "the same every night is told once");
    by_hand(&estate, "UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 5) WHERE identity = 'ant'").await;
    assert_eq!((exit(&notify(Some(&chat))), count()), (2, 3), "another value is another drift");
    estate.apply();
    assert_eq!((exit(&notify(Some(&chat))), count()), (0, 4), "that it is over is told");
    assert_eq!((exit(&notify(Some(&chat))), count()), (0, 4));
    let history = estate.stdout(&["history"]);
    assert_eq!(history.matches("driftReported").count(), 3, "{history}");
    assert!(estate.run(&["history", "--verify"]).status.success());
}

/// A mail server that takes everything in the clear, and keeps what it is told.
async fn mail_server(told: Arc<Mutex<Vec<String>>>, refuses: Arc<Mutex<bool>>) -> u16 {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (read, mut write) = client.into_split();
            let mut lines = BufReader::new(read).lines();
            let _ = write.write_all(b"220 here\r\n").await;
            let (mut is_data, mut mail) = (false, String::new());
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = if is_data {
                    if line != "." {
                        mail.push_str(&line);
                        mail.push('\n');
                        continue;
                    }
                    is_data = false;
                    told.lock().expect("no panic").push(std::mem::take(&mut mail));
                    "250 taken\r\n"
                } else {
                    let refuses = *refuses.lock().expect("no panic");
                    mail.push_str(&line);
                    mail.push('\n');
                    match line.get(..4) {
                        Some("EHLO") => "250-here\r\n250 AUTH PLAIN\r\n",
                        Some("AUTH") => "235 welcome\r\n",
                        Some("RCPT") if refuses => "550 nobody of that name\r\n",
                        Some("DATA") => {
                            is_data = true;
                            "354 go on\r\n"
                        }
                        Some("QUIT") => "221 bye\r\n",
                        _ => "250 ok\r\n",
                    }
                };
                if write.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_by_mail_once_and_again_when_it_is_another_drift() {
    let estate = drifted().await;
    let (told, refuses): (Arc<Mutex<Vec<String>>>, Arc<Mutex<bool>>) = (Arc::default(), Arc::new(Mutex::new(true)));
    let port = mail_server(told.clone(), refuses.clone()).await;
    let config = fs::read_to_string(estate.path().join("tenantry.toml")).expect("reads");
    let configured = |mail: &str| {
        let from =
            "from = \"Tenantry <tenantry@example.com>\"\nto = [\"platform@example.com\", \"night@example.com\"]\n";
        estate.write("tenantry.toml", &format!("{config}\n[drift.mail]\n{mail}{from}"));
    };
    let notify = || {
        let mut command = tenantry(estate.path());
        command.args(["drift", "--notify"]).env("SMTP_LOGIN", "robot:hunter2");
        // The server answers on this runtime meanwhile.
        tokio::task::block_in_place(|| command.output().expect("the command runs"))
    };
    let count = || told.lock().expect("no panic").len();

    // Nothing leaves the machine in the clear, and nothing is sent to a server that does not encrypt if it was to.
    configured("server = \"smtp.example.com\"\nencryption = \"none\"\n");
    let clear = notify();
    assert_eq!(exit(&clear), 1);
    assert!(err(&clear).contains("`none` is for a server of this machine only"), "{}", err(&clear));
    configured(&format!("server = \"127.0.0.1:{port}\"\nlogin = \"env:SMTP_LOGIN\"\n"));
    let without_tls = notify();
    assert_eq!((exit(&without_tls), count()), (1, 0), "{}", err(&without_tls));
    assert!(err(&without_tls).contains("sending a mail by 127.0.0.1"), "{}", err(&without_tls));

    configured(&format!("server = \"127.0.0.1:{port}\"\nencryption = \"none\"\nlogin = \"env:SMTP_LOGIN\"\n"));
    let refused = notify();
    assert_eq!((exit(&refused), count()), (1, 0));
    assert!(err(&refused).contains("nobody of that name"), "{}", err(&refused));
    assert!(!err(&refused).contains("hunter2"), "{}", err(&refused));
    assert!(!estate.stdout(&["history"]).contains("driftReported"));

    *refuses.lock().expect("no panic") = false;
    let sent = notify();
    assert_eq!((exit(&sent), count()), (2, 1), "what did not arrive is sent again: {}", err(&sent));
    let mail = told.lock().expect("no panic")[0].clone();
    for line in [
        "AUTH PLAIN",
        "RCPT TO:<night@example.com>",
        "From: Tenantry <tenantry@example.com>",
        "Subject: ",
        "Content-Type: text/plain; charset=utf-8",
        "\nant, bee\n",
        "changed role postgres.role: connectionLimit",
    ] {
        assert!(mail.contains(line), "{line}: {mail}");
    }
    assert!(!mail.contains("99"), "values stay out of a mail: {mail}");
    assert_eq!((exit(&notify()), count()), (2, 1), "the same every night is told once");
    by_hand(&estate, "UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 5) WHERE identity = 'ant'").await;
    assert_eq!((exit(&notify()), count()), (2, 2), "another value is another drift");
    estate.apply();
    assert_eq!((exit(&notify()), count()), (0, 3), "that it is over is told");
}

#[test]
fn a_message_is_about_the_whole_estate() {
    let estate = Estate::new();
    let output = estate.run(&["drift", "--notify", "--tenant", "ant"]);
    assert_eq!(exit(&output), 64, "{}", err(&output));
}

/// What would end a code block, a tag, an attribute or a line; mention somebody, load an image, run a workflow's command, or
/// reorder a text.
const HOSTILE: &str = "x\\n```\\n</code></details>\\n::error::y\\n# Head @team <!channel> <img src=http://evil.example> \\u001b[31m \\u202etxt";

#[tokio::test]
async fn no_format_obeys_what_others_wrote() {
    let estate = Estate::new();
    estate.apply();
    let path = estate.path().join(".tenantry/default/sandbox.db");
    let mut world = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a world");
    let title: String = serde_json::from_str(&format!("\"{HOSTILE}\"")).expect("a text");
    let sql = "UPDATE resources SET spec = json_set(spec, '$.columns.title', ?) WHERE kind = 'postgres.row'";
    let changed = sqlx::query(sql).bind(&title).execute(&mut world).await.expect("SQL");
    assert_eq!(changed.rows_affected(), 4);
    world.close().await.expect("closes");

    let files =
        ["drift.xml", "tenantry.prom"].map(|name| estate.path().join(name).to_str().expect("a path").to_owned());
    let text = estate.stdout(&["drift", "--junit", &files[0], "--metrics", &files[1]]);
    let markdown = estate.stdout(&["drift", "--format", "markdown"]);
    let html = estate.stdout(&["drift", "--format", "html"]);
    let json = estate.stdout(&["drift", "--format", "json"]);
    let [junit, metrics] = files.map(|file| fs::read_to_string(file).expect("a file"));
    for (format, written) in
        [("text", &text), ("markdown", &markdown), ("html", &html), ("junit", &junit), ("json", &json)]
    {
        assert!(written.contains("columns.title") || written.contains("/columns/title"), "{format}:\n{written}");
        assert!(!written.contains(['\u{1b}', '\u{202e}']), "{format}:\n{written}");
        assert!(!written.lines().any(|line| line.trim_start().starts_with("::error")), "{format}:\n{written}");
    }
    assert!(!metrics.contains("team"), "{metrics}");
    assert!(!junit.contains("<img") && !junit.contains("</code>"), "{junit}");
    assert!(!html.contains("<img") && !html.contains("<!channel"), "{html}");
    let mut is_outside = true;
    for line in markdown.lines() {
        if line.starts_with("```") {
            is_outside = !is_outside;
        }
        assert!(!is_outside || !(line.contains("@team") || line.contains("<img")), "{markdown}");
    }
    assert!(is_outside, "every block is closed: {markdown}");
}
