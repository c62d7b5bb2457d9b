use std::os::unix::fs::PermissionsExt as _;

use super::*;
use tenantry_core::model::address::Owner;

fn reference(name: &str, version: u32) -> SecretReference {
    SecretReference {
        owner: Owner::from("acme"),
        name: name.into(),
        version: SecretVersion::new(version).expect("a version"),
    }
}

fn secrets(values: &[(&str, &str)]) -> BTreeMap<SecretReference, SecretString> {
    values.iter().map(|(name, value)| (reference(name, 1), (*value).into())).collect()
}

fn plain(secrets: &BTreeMap<SecretReference, SecretString>) -> Vec<(String, &str)> {
    secrets.iter().map(|(reference, value)| (reference.to_string(), value.expose_secret())).collect()
}

struct Place {
    folder: assert_fs::TempDir,
    identity: SecretString,
}

impl Place {
    fn new() -> Self {
        Self { folder: assert_fs::TempDir::new().expect("a temporary folder"), identity: new_identity().0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/secrets.age")
    }

    fn open(&self) -> AgeFile {
        AgeFile::open(&self.path(), &self.identity).expect("the identity is one")
    }
}

#[tokio::test]
async fn a_missing_file_is_empty_and_stays_missing() {
    let place = Place::new();
    let file = place.open();
    assert!(file.get(&[reference("db", 1)]).await.expect("reads").is_empty());
    assert!(file.list().await.expect("reads").is_empty());
    assert!(file.hash_key().await.expect("reads").is_none());
    assert!(file.put(BTreeMap::new()).await.expect("nothing to do").is_empty());
    assert_eq!(std::fs::read_dir(place.folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn what_was_put_is_there_for_everyone() {
    let place = Place::new();
    let file = place.open();
    let odd = "\"q\\\n\u{0}ü'";
    let stored = file.put(secrets(&[("db", "first"), ("odd", odd)])).await.expect("stores");
    assert_eq!(plain(&stored), [("secret(acme/db, v1)".into(), "first"), ("secret(acme/odd, v1)".into(), odd)]);
    let key = file.hash_key().await.expect("reads").expect("there is one now");

    for file in [file, place.open()] {
        let wanted = [reference("odd", 1), reference("db", 2), reference("db", 1)];
        assert_eq!(plain(&file.get(&wanted).await.expect("reads")), plain(&stored));
        assert_eq!(file.list().await.expect("reads"), [reference("db", 1), reference("odd", 1)]);
        assert_eq!(file.hash_key().await.expect("reads").expect("a key").expose_secret(), key.expose_secret());
    }
    let bytes = std::fs::read(place.path()).expect("reads");
    assert!(!bytes.windows(5).any(|window| window == b"first"));
}

#[tokio::test]
async fn whoever_comes_second_gets_what_is_stored() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    assert!(two.list().await.expect("reads").is_empty(), "and has it in its cache");
    one.put(secrets(&[("db", "first")])).await.expect("stores");
    let stored = two.put(secrets(&[("db", "second"), ("api", "mine")])).await.expect("stores");
    assert_eq!(stored[&reference("db", 1)].expose_secret(), "first");
    assert_eq!(two.list().await.expect("reads").len(), 2);
    let key = |file: AgeFile| async move { file.hash_key().await.expect("reads").expect("a key") };
    assert_eq!(key(two).await.expose_secret(), key(place.open()).await.expose_secret());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_at_once_lose_nothing() {
    let place = Place::new();
    let mut tasks = tokio::task::JoinSet::new();
    for run in 0..8 {
        let file = place.open();
        tasks.spawn(async move {
            for index in 0..5 {
                let own = format!("r{run}-{index}");
                let stored = file.put(secrets(&[(&own, &own), ("shared", &own)])).await.expect("stores");
                assert_eq!(stored[&reference(&own, 1)].expose_secret(), own);
            }
            file.get(&[reference("shared", 1)]).await.expect("reads")[&reference("shared", 1)].clone()
        });
    }
    let shared: std::collections::BTreeSet<_> =
        tasks.join_all().await.into_iter().map(|value| value.expose_secret().to_owned()).collect();
    assert_eq!(shared.len(), 1, "everyone uses the one that was first");
    assert_eq!(place.open().list().await.expect("reads").len(), 41);
    let names = std::fs::read_dir(place.path().parent().expect("a folder")).expect("a folder");
    assert_eq!(names.count(), 2, "nothing is left but the file and its lock");
}

#[tokio::test]
async fn another_identity_opens_nothing_and_overwrites_nothing() {
    let place = Place::new();
    place.open().put(secrets(&[("db", "first")])).await.expect("stores");
    let before = std::fs::read(place.path()).expect("reads");
    let (identity, recipient) = new_identity();
    let file = AgeFile::open(&place.path(), &identity).expect("it is one");
    let refused = file.get(&[reference("db", 1)]).await.expect_err("it is another");
    assert!(matches!(refused, SecretStoreError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains(&recipient) && refused.to_string().contains("restore the file"), "{refused}");
    let refused = file.put(secrets(&[("api", "x")])).await.expect_err("it is another");
    assert!(matches!(refused, SecretStoreError::Locked { .. }), "{refused}");
    assert_eq!(std::fs::read(place.path()).expect("reads"), before);
}

#[tokio::test]
async fn damage_is_told_without_a_word_of_the_content() {
    let place = Place::new();
    place.open().put(secrets(&[("db", "hunter2hunter2")])).await.expect("stores");
    let whole = std::fs::read(place.path()).expect("reads");
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    for bytes in [&flipped[..], &whole[..whole.len() - 3], b"", b"age-encryption.org/v9\n", b"{}"] {
        std::fs::write(place.path(), bytes).expect("writes");
        let failed = place.open().list().await.expect_err("it is damaged");
        assert!(matches!(failed, SecretStoreError::Failed { .. }), "{failed}");
        place.open().put(secrets(&[("api", "x")])).await.expect_err("nothing is overwritten");
        assert_eq!(std::fs::read(place.path()).expect("reads"), bytes);
    }
    let inner = place.open().0;
    for content in [r#"{"format":1,"secrets":[{"owner":"a","name":"b","version":"hunter2","value":"x"}]}"#, "hunter2"] {
        let failed = inner.parse(content.as_bytes()).err().expect("it is not as expected").to_string();
        assert!(failed.contains("line 1") && !failed.contains("hunter2"), "{failed}");
    }
    let newer = inner.parse(br#"{"format":2,"secrets":[]}"#).err().expect("it is newer").to_string();
    assert!(newer.contains("newer"), "{newer}");
}

#[tokio::test]
async fn files_are_for_the_user_alone_and_links_stay_links() {
    let place = Place::new();
    place.open().put(secrets(&[("db", "first")])).await.expect("stores");
    let mode = |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(place.path().parent().expect("a folder")), 0o700);

    let link = place.folder.path().join("link.age");
    std::os::unix::fs::symlink(place.path(), &link).expect("links");
    let file = AgeFile::open(&link, &place.identity).expect("the identity is one");
    file.put(secrets(&[("api", "second")])).await.expect("stores");
    assert!(link.is_symlink());
    assert_eq!(place.open().list().await.expect("reads").len(), 2);
}

#[test]
fn an_identity_is_found_in_the_file_of_age_keygen_and_nothing_else_is_one() {
    let (identity, recipient) = new_identity();
    assert!(recipient.starts_with("age1"));
    let file = format!("# created: today\n# public key: {recipient}\n{}\n", identity.expose_secret());
    AgeFile::open(Path::new("x"), &file.into()).expect("it is in there");
    let broken = identity.expose_secret()[..40].to_owned();
    for text in ["", recipient.as_str(), broken.as_str()] {
        let refused = AgeFile::open(Path::new("x"), &text.into()).err().expect("none").to_string();
        assert!(refused.contains("AGE-SECRET-KEY-1"), "{refused}");
        assert!(text.is_empty() || !refused.contains(text), "{refused}");
    }
}
