//! Whose certificate is trusted, by what the URL says of TLS.

use tenantry_core::model::resource::Desired;
use tenantry_provider::contract::Settings;

use crate::mysql::{Target, on_mysql, tenant};
use crate::support::{observe, tls};

#[test]
fn a_server_whose_certificate_does_not_verify_is_not_talked_to() {
    on_mysql("a_server_whose_certificate_does_not_verify_is_not_talked_to", async |target| {
        // Of the driver alone this would encrypt for whoever answers.
        let url = format!("{}?ssl-mode=REQUIRED", target.url);
        tls::assert_verified(target, &url, &tenant(target, "acme")[0]).await;
    });
}

#[test]
fn a_certificate_for_another_name_is_trusted_where_the_url_says_so() {
    on_mysql("a_certificate_for_another_name_is_trusted_where_the_url_says_so", async |target| {
        let database = &tenant(target, "acme")[0];
        target.create(&[database]).await;
        let mut settings = target.settings(&format!("{}?ssl-mode=VERIFY_CA", target.url));
        settings.folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/certificate").into();
        let refused = target.reader_with(&settings).probe().await.expect_err("not trusted");
        assert!(refused.to_string().contains("certificate does not verify"), "{refused}");
        settings.values.insert("roots".to_owned(), "localhost.pem".into());
        assert_finds(target, &settings, database).await;
    });
}

async fn assert_finds(target: &Target, settings: &Settings, desired: &Desired) {
    let observations = observe(&*target.reader_with(settings), &[desired], &[]).await;
    target.assert_is(desired, observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity")));
}
