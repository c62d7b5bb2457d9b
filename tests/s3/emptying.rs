//! Buckets that take more than one page to empty, and keys with odd characters.

use futures::StreamExt as _;
use futures::stream;
use serde_json::json;

use crate::support::s3::{World, on_servers};

#[test]
fn a_bucket_of_more_than_a_page_is_emptied_page_by_page() {
    on_servers("a_bucket_of_more_than_a_page_is_emptied_page_by_page", async |world: &World| {
        let name = world.name("pages");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "versioning": true}));
        world.create(&[&bucket]).await;
        // Two versions of each, of which every tenth is hidden by a delete marker: 1,260 in all.
        for round in 0..3 {
            let keys = (0..600).filter(|number| round < 2 || number % 10 == 0);
            let method = if round < 2 { "PUT" } else { "DELETE" };
            let written = keys.map(|number| {
                let path = format!("/{name}/files/{number:04}.txt");
                async move { world.do_raw(method, &path, if method == "PUT" { "x" } else { "" }).await }
            });
            stream::iter(written).buffer_unordered(16).collect::<Vec<()>>().await;
        }
        world.take();
        world.remove(&[&bucket]).await;
        let asked = world.take();
        let count = |wanted: &str| asked.iter().filter(|asked| asked.starts_with(wanted)).count();
        assert_eq!(count("POST "), 2, "two pages: {asked:?}");
        assert_eq!(count(&format!("DELETE /{name}")), 1);
        assert_eq!(world.raw("HEAD", &format!("/{name}"), &[], "").await.0, 404);
    });
}

#[test]
fn keys_with_odd_characters_are_emptied_too() {
    on_servers("keys_with_odd_characters_are_emptied_too", async |world: &World| {
        let name = world.name("odd");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "versioning": true}));
        world.create(&[&bucket]).await;
        let keys = ["a%0Db", "a%0Ab", "%20", "tab%09", "x%26amp%3B", "e%CC%81", "end%20", "a+b", "%F0%9F%98%80"];
        for key in keys {
            world.do_raw("PUT", &format!("/{name}/{key}"), "x").await;
        }
        world.remove(&[&bucket]).await;
    });
}
