//! The other pipelines of `examples/ci`: GitLab's jobs with a stand-in for its API, Atlantis' steps, the hook before a commit.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use super::Estate;
use super::since::applied;
use crate::command::Said;
use crate::support::server::{Asked, Reply, Server};

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(name)).expect("the example")
}

/// A runner's folder: the estate with the note's script, and `tenantry` on the path.
struct Runner {
    estate: Estate,
    api: String,
}

impl Runner {
    fn new(api: &str) -> Self {
        let (estate, repository) = applied();
        let head = repository.head().and_then(|head| head.peel_to_commit()).expect("a commit");
        repository.reference("refs/remotes/origin/main", head.id(), false, "fetched").expect("a reference");
        estate.write("ci/note.sh", &example("gitlab-note.sh"));
        let bin = estate.path().join(".tenantry/bin");
        fs::create_dir_all(&bin).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tenantry"), bin.join("tenantry")).expect("a link");
        Self { estate, api: api.to_owned() }
    }

    /// Runs lines as one script, as GitLab and Atlantis do.
    fn script(&self, lines: &[&str]) -> Said {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.estate.path().join(".tenantry/bin").display());
        let mut command = Command::new("sh");
        command.env_clear().env("PATH", path).current_dir(self.estate.path());
        command.env("CI_API_V4_URL", &self.api).env("CI_PROJECT_ID", "12").env("CI_MERGE_REQUEST_IID", "7");
        command.env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main").env("NOTE_TOKEN", "glpat-hidden");
        command.env("PLANFILE", self.estate.path().join(".tenantry/plan.json"));
        Said::of(command.args(["-e", "-c", &lines.join("\n")]).output().expect("a shell"))
    }

    fn job(&self, name: &str) -> Said {
        let pipeline: Json = serde_yaml::from_str(&example("gitlab-ci.yml")).expect("YAML");
        let lines = pipeline[name]["script"].as_array().expect("a script").iter().filter_map(Json::as_str);
        self.script(&lines.collect::<Vec<_>>())
    }
}

/// GitLab's notes, of which a page has two.
async fn gitlab(notes: Arc<Mutex<Vec<String>>>, asked: Arc<Mutex<Vec<String>>>) -> Server {
    Server::start(move |request: Asked| {
        let mut notes = notes.lock().expect("nobody panics");
        asked.lock().expect("nobody panics").push(format!("{} {}", request.method, request.path));
        assert_eq!(request.header("private-token"), Some("glpat-hidden"));
        let body = request.json()["body"].as_str().map(str::to_owned);
        let reply = match request.method.as_str() {
            "GET" => {
                let page: usize = request.parameter("page").expect("a page").parse().expect("a number");
                let all = notes.iter().enumerate().map(|(id, body)| json!({"id": id, "body": body}));
                let listed: Vec<Json> = all.skip((page - 1) * 2).take(2).collect();
                let next = if notes.len() > page * 2 { (page + 1).to_string() } else { String::new() };
                Reply::json(200, &listed.into()).header("X-Next-Page", next)
            }
            "POST" => {
                notes.push(body.expect("a body"));
                Reply::json(201, &json!({}))
            }
            _ => {
                let id: usize = request.path.rsplit('/').next().expect("an id").parse().expect("a number");
                notes[id] = body.expect("a body");
                Reply::json(200, &json!({}))
            }
        };
        async move { reply }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_request_gets_one_note_a_report_and_a_page() {
    let notes: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(["a", "b", "c"].map(str::to_owned).to_vec()));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let server = gitlab(notes.clone(), asked.clone()).await;
    let runner = Runner::new(&server.url);
    runner.estate.tenant("bee", "small", "Bee & Sons");
    let file = |name: &str| fs::read_to_string(runner.estate.path().join(name)).expect("the file");
    tokio::task::block_in_place(|| {
        assert_eq!(runner.job("validate").exit, 0);
        assert!(file("validate.xml").contains("name=\"tenants/bee.yaml\"/>"));
        let planned = runner.job("plan");
        assert_eq!(planned.exit, 0, "{planned:#?}");
        assert!(file("plan.html").contains("Bee &amp; Sons"));
        assert!(!fs::exists(runner.estate.path().join("tenants.plan")).expect("the folder is there"));
        assert_eq!(notes.lock().expect("nobody panics").len(), 4);
        assert!(notes.lock().expect("nobody panics")[3].contains("1 to update"));

        // Another push replaces the note, and a plan that is refused is told before the job fails.
        runner.estate.remove("tenants/ant.yaml");
        assert_eq!(runner.job("plan").exit, 3);
        assert_eq!(notes.lock().expect("nobody panics").len(), 4);
        assert!(notes.lock().expect("nobody panics")[3].contains("A guard refuses"));
        assert!(
            asked
                .lock()
                .expect("nobody panics")
                .iter()
                .any(|asked| asked == "PUT /projects/12/merge_requests/7/notes/3")
        );

        runner.estate.tenant("bee", "no-such-tier", "Bee");
        assert_eq!(runner.job("validate").exit, 1);
        assert!(file("validate.xml").contains("<failure"));
    });
}

#[test]
fn a_merge_applies_and_a_schedule_finds_drift() {
    let runner = Runner::new("http://127.0.0.1:1");
    runner.estate.tenant("bee", "small", "Bee & Sons");
    let applied = runner.job("apply");
    assert_eq!(applied.exit, 0, "{applied:#?}");
    assert_eq!(runner.job("drift").exit, 0);
    assert!(fs::read_to_string(runner.estate.path().join("drift.xml")).expect("the report").contains("failures=\"0\""));
}

#[test]
fn what_atlantis_plans_it_applies_exactly_or_not_at_all() {
    let runner = Runner::new("http://127.0.0.1:1");
    let config: Json = serde_yaml::from_str(&example("atlantis.yaml")).expect("YAML");
    let steps = |stage: &str| -> Said {
        let steps = config["workflows"]["tenantry"][stage]["steps"].as_array().expect("steps").iter();
        let lines: Vec<&str> = steps.map(|step| step["run"].as_str().expect("a command")).collect();
        runner.script(&lines)
    };
    runner.estate.tenant("bee", "small", "Bee & Sons");
    assert_eq!(steps("plan").exit, 0);
    assert_eq!(steps("apply").exit, 0);
    let again = steps("apply");
    assert_eq!(again.exit, 0, "what was applied already is no failure: {again:#?}");
    runner.estate.tenant("bee", "small", "Bee");
    assert_eq!(steps("plan").exit, 0);
    runner.estate.tenant("bee", "small", "Bees");
    runner.estate.apply();
    let stale = steps("apply");
    assert_eq!(stale.exit, 4, "{stale:#?}");
}

#[test]
fn a_commit_with_a_mistake_is_stopped() {
    let runner = Runner::new("http://127.0.0.1:1");
    let config: Json = serde_yaml::from_str(&example("pre-commit-config.yaml")).expect("YAML");
    let hook = &config["repos"][0]["hooks"][0];
    let entry = hook["entry"].as_str().expect("a command");
    let said = runner.script(&[entry]);
    assert_eq!((said.exit, said.err.as_str()), (0, ""), "{said:#?}");
    runner.estate.tenant("bee", "no-such-tier", "Bee");
    let said = runner.script(&[entry]);
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("TY0201"), "{}", said.err);
}
