//! What an answer does not say.

use tenantry::core::model::resource::{Desired, Present};
use tenantry::provider::contract::ErrorClass;

use super::support::{create, delete, update};
use super::{answering, on_rabbitmq, tenant};

fn seen(desired: &Desired) -> Present {
    Present { spec: desired.spec.clone(), mark: Some(super::support::mark(desired)), ..Present::default() }
}

/// Whoever stands in front of the server, and does not find it, says 404 as well.
#[test]
fn a_404_that_is_not_the_servers_own_is_no_end() {
    on_rabbitmq("a_404_that_is_not_the_servers_own_is_no_end", async |target| {
        let wanted = tenant(target, "acme");
        for page in [
            "HTTP/1.1 404 No\r\ncontent-type: text/plain\r\ncontent-length: 21\r\nconnection: close\r\n\r\ndefault backend - 404",
            "HTTP/1.1 404 No\r\ncontent-type: application/json\r\ncontent-length: 30\r\nconnection: close\r\n\r\n{\"message\":\"no Route matched\"}",
            "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ] {
            let writer = target.writer_at(&format!("http://tenantry:tenantry@127.0.0.1:{}", answering(page).await));
            for desired in &wanted {
                let before = seen(desired);
                for step in [delete(desired, &before), create(desired), update(desired, &before, &[])] {
                    let error = writer.write(&[step]).await.expect_err("nothing was done").error;
                    assert_eq!(error.class, ErrorClass::Fatal, "{error}");
                    assert!(error.to_string().contains("no management API"), "{error}");
                }
            }
        }
        // The server's own.
        for desired in &wanted {
            target.write(&[delete(desired, &seen(desired))]).await;
        }
    });
}
