//! Another account in the place of the one that was billed: nobody is subscribed there.

use crate::support::stripe::{World, in_account};
use assert_fs::TempDir;

use super::runs;

#[test]
fn nobody_is_subscribed_in_another_account() {
    in_account("nobody_is_subscribed_in_another_account", async |first| {
        let second = World::another().await;
        let folder = TempDir::new().expect("a folder");
        runs::write_estate(folder.path(), "env:STRIPE_URL", "49.00");
        let run = async |account: &World, arguments: &[&str]| {
            let mut command = runs::command(folder.path(), arguments);
            command.env("STRIPE_URL", &account.url);
            let output =
                tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
            let text = |bytes| String::from_utf8(bytes).expect("text");
            (output.status.code(), format!("{}{}", text(output.stdout), text(output.stderr)))
        };
        let (exit, said) = run(first, &["apply", "--auto-approve"]).await;
        assert_eq!(exit, Some(0), "{said}");
        assert_eq!(first.all("subscriptions").await.len(), 2);

        let (exit, said) = run(&second, &["apply", "--auto-approve"]).await;
        assert_eq!(exit, Some(3), "{said}");
        let refused = format!(
            "refused[TY0421]: target `billing` was account {}, test mode and is now account {}, test mode",
            first.account(),
            second.account()
        );
        assert!(said.contains(&refused), "{said}");
        second.take_asked();
        for path in ["products", "prices", "customers", "subscriptions"] {
            assert_eq!(second.all(path).await.len(), 0, "{path}");
        }
        let (exit, said) = run(first, &["plan", "--detailed-exitcode"]).await;
        assert_eq!(exit, Some(0), "{said}");
    });
}

#[test]
fn an_account_that_a_restricted_key_may_not_read_is_told_once() {
    in_account("an_account_that_a_restricted_key_may_not_read_is_told_once", async |account| {
        use crate::support::stripe::Fault;
        let folder = TempDir::new().expect("a folder");
        runs::write_estate(folder.path(), &account.url, "49.00");
        let is_denied = |asked: &crate::support::server::Asked| asked.path == "/v1/account";
        account.fail(move |asked| if is_denied(asked) { Fault::Refuse(403) } else { Fault::None });
        let run = async |arguments: &[&str]| {
            let output = runs::run(folder.path(), arguments).await;
            (output.status.code(), String::from_utf8(output.stdout).expect("text"))
        };
        let (exit, said) = run(&["plan"]).await;
        assert_eq!(exit, Some(0), "{said}");
        assert!(said.contains("warning[TY0422]: target `billing` does not reveal which system it is"), "{said}");
        assert_eq!(run(&["apply", "--auto-approve"]).await.0, Some(0));
        let (exit, said) = run(&["plan", "--detailed-exitcode"]).await;
        assert_eq!(exit, Some(0), "{said}");
        assert!(!said.contains("TY0422"), "{said}");

        // As soon as it may be read it is remembered, and a denial is no way past that.
        account.heal();
        assert_eq!(run(&["apply", "--auto-approve"]).await.0, Some(0));
        runs::write_estate(folder.path(), &account.url, "59.00");
        account.fail(move |asked| if is_denied(asked) { Fault::Refuse(403) } else { Fault::None });
        let (exit, said) = run(&["plan"]).await;
        assert_eq!(exit, Some(5), "{said}");
        assert!(said.contains(&format!("does not reveal whether it is still account {}", account.account())), "{said}");
        let (exit, said) = run(&["plan", "--format", "json"]).await;
        assert_eq!(exit, Some(5), "{said}");
        let plan: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(plan["changes"].as_array().map(Vec::len), Some(0), "{plan}");
    });
}
