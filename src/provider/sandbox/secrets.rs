//! The simulated world's own secret store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Connection as _;

use super::world::World;
use tenantry_core::model::address::Owner;
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_secret::contract::{SecretStore, SecretStoreError};
use tenantry_secret::{Alphabet, generate};

/// Secrets of simulated targets. They open nothing, so they are kept in the clear.
pub struct SandboxSecrets {
    world: World,
}

impl SandboxSecrets {
    pub fn new(world: World) -> Self {
        Self { world }
    }

    fn failed(&self, attempted: &'static str) -> impl Fn(sqlx::Error) -> SecretStoreError {
        let location = self.location();
        move |error| SecretStoreError::Failed { location: location.clone(), attempted, cause: error.to_string() }
    }
}

#[async_trait]
impl SecretStore for SandboxSecrets {
    async fn get(
        &self,
        references: &[SecretReference],
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        let failed = self.failed("reading");
        let Some(mut connection) = self.world.connection().await.map_err(&failed)? else { return Ok(BTreeMap::new()) };
        let rows: Vec<(String, String, u32, String)> =
            sqlx::query_as("SELECT owner, name, version, value FROM secrets")
                .fetch_all(&mut *connection)
                .await
                .map_err(&failed)?;
        let mut all: BTreeMap<SecretReference, String> = rows
            .into_iter()
            .filter_map(|(owner, name, version, value)| Some((reference(&owner, name, version)?, value)))
            .collect();
        Ok(references.iter().filter_map(|wanted| Some((wanted.clone(), all.remove(wanted)?.into()))).collect())
    }

    async fn put(
        &self,
        secrets: BTreeMap<SecretReference, SecretString>,
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        let failed = self.failed("writing");
        let references: Vec<SecretReference> = secrets.keys().cloned().collect();
        let key = generate(Alphabet::ALPHANUMERIC, generate::LENGTH)?;
        {
            let connection = self.world.connection().await.map_err(&failed)?;
            let Some(mut connection) = connection else {
                return Err(failed(sqlx::Error::Configuration("it was opened for reading only".into())));
            };
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
            sqlx::query("INSERT INTO hash_key SELECT ? WHERE NOT EXISTS (SELECT 1 FROM hash_key)")
                .bind(key.expose_secret())
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            for (reference, value) in &secrets {
                sqlx::query("INSERT OR IGNORE INTO secrets (owner, name, version, value) VALUES (?, ?, ?, ?)")
                    .bind(reference.owner.to_string())
                    .bind(&*reference.name)
                    .bind(reference.version.get())
                    .bind(value.expose_secret())
                    .execute(&mut *transaction)
                    .await
                    .map_err(&failed)?;
            }
            transaction.commit().await.map_err(&failed)?;
        }
        self.get(&references).await
    }

    async fn hash_key(&self) -> Result<Option<SecretString>, SecretStoreError> {
        let failed = self.failed("reading");
        let Some(mut connection) = self.world.connection().await.map_err(&failed)? else { return Ok(None) };
        let key: Option<String> =
            sqlx::query_scalar("SELECT value FROM hash_key").fetch_optional(&mut *connection).await.map_err(&failed)?;
        Ok(key.map(Into::into))
    }

    async fn list(&self) -> Result<Vec<SecretReference>, SecretStoreError> {
        let failed = self.failed("listing");
        let Some(mut connection) = self.world.connection().await.map_err(&failed)? else { return Ok(Vec::new()) };
        let rows: Vec<(String, String, u32)> =
            sqlx::query_as("SELECT owner, name, version FROM secrets ORDER BY 1, 2, 3")
                .fetch_all(&mut *connection)
                .await
                .map_err(&failed)?;
        Ok(rows.into_iter().filter_map(|(owner, name, version)| reference(&owner, name, version)).collect())
    }

    fn location(&self) -> String {
        format!("the sandbox {}", self.world.path().display())
    }
}

fn reference(owner: &str, name: String, version: u32) -> Option<SecretReference> {
    Some(SecretReference { owner: Owner::from(owner), name: name.into(), version: SecretVersion::new(version)? })
}
