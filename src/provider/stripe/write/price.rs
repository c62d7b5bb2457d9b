//! Prices that follow one another.
//!
//! An amount never changes. A new price takes the lookup key over, then the earlier one is archived; who pays it goes on
//! paying it. Cut short between the two, the earlier one is left active without a lookup key: its mark tells, and the next
//! run archives it.

use serde_json::Value as Json;

use super::super::api::{Failed as _, Failure};
use super::super::form::Form;
use super::super::lists::{Entry, State, is_current};
use super::super::mark;
use super::super::read::superseded;
use super::{StripeWriter, id_of, name_of, written};
use crate::types::StripeKind;
use crate::write::parameters::Changed;
use tenantry_core::model::value::Map;
use tenantry_provider::contract::{Step, Written};

/// Takes the lookup key from the price that has it.
const TRANSFER: &str = "transfer_lookup_key";

impl StripeWriter {
    /// Replaces a price as a plan says: the deletion says what may go.
    pub(super) async fn replace_owned_price(
        &self,
        before: &Step,
        after: &Step,
        spec: &Map,
    ) -> Result<Written, Failure> {
        let found = self.current(StripeKind::Price, &before.mark.estate, &name_of(before)).await?;
        match found {
            // Replaced already, in an earlier try: then only what is left of it is archived.
            Some(entry) if self.fixed(after, &entry, spec).await?.is_none() => {
                after.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                self.bring(after, &entry, spec, &[]).await
            }
            Some(entry) => {
                before.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                self.replace_price(after, spec).await
            }
            None => self.create(after, spec, &name_of(after)).await,
        }
    }

    pub(super) async fn replace_price(&self, step: &Step, spec: &Map) -> Result<Written, Failure> {
        let mut form = self.parameters(step, spec, &Changed::New).await?;
        form.extend(mark::parameters(&step.mark, &name_of(step)).map_err(Failure::invalid)?);
        let former = self.current(StripeKind::Price, &step.mark.estate, &name_of(step)).await?;
        let holder = self
            .holder(&name_of(step))
            .await?
            .filter(|holder| is_current(holder) && former.as_ref().is_none_or(|former| former.id() != id_of(holder)));
        if let Some(holder) = holder {
            // What was listed some time ago is not enough to take a key away.
            step.check_owner(mark::read(&holder).as_ref()).map_err(Failure::conflict)?;
        }
        form.set(TRANSFER, "true");
        let object = self.make(step, &name_of(step), &form).await?;
        let id = id_of(&object).to_owned();
        self.put(StripeKind::Price, object).await?;
        if let Some(former) = former.filter(|former| former.id() != id) {
            self.archive(&former).await?;
        }
        self.archive_superseded(step).await?;
        Ok(written(step, &id))
    }

    /// Makes a price of a lookup key that Stripe refused, since an archived price may still hold it.
    pub(super) async fn make_with_key(
        &self,
        step: &Step,
        name: &str,
        form: Form,
        refused: Failure,
    ) -> Result<Json, Failure> {
        match self.holder(name).await? {
            None => Err(refused),
            Some(holder) if is_current(&holder) => {
                step.check_owner(mark::read(&holder).as_ref()).map_err(Failure::conflict)?;
                // The next look finds it.
                self.forget(StripeKind::Price).await;
                Err(Failure::conflict("another run created it at the same time; plan again"))
            }
            Some(_) => self.make(step, name, &form.with(TRANSFER, "true")).await,
        }
    }

    /// The price that has a lookup key at this moment, for sale or archived.
    async fn holder(&self, name: &str) -> Result<Option<Json>, Failure> {
        let query = Form::new().with("lookup_keys[]", name);
        Ok(self.api.list("prices", &query).await?.into_iter().next())
    }

    pub(super) async fn archive_superseded(&self, step: &Step) -> Result<(), Failure> {
        let (estate, name) = (step.mark.estate.clone(), name_of(step));
        let left = self
            .look(StripeKind::Price, |list| {
                let left = superseded(list, Some(&estate), &name);
                left.filter(|entry| entry.state == State::Superseded).cloned().collect::<Vec<_>>()
            })
            .await?;
        for entry in left {
            self.archive(&entry).await?;
        }
        Ok(())
    }

    async fn archive(&self, entry: &Entry) -> Result<(), Failure> {
        self.api.update("prices", entry.id(), &Form::new().with("active", "false")).await?;
        self.look(StripeKind::Price, |list| list.take(entry.id())).await
    }

    /// Puts an object where a write answered its id only.
    pub(super) async fn expand(&self, object: &mut Json, field: &str, kind: StripeKind) -> Result<(), Failure> {
        let Some(id) = object.get(field).and_then(Json::as_str).map(str::to_owned) else { return Ok(()) };
        let found = self.look(kind, |list| list.of_id(&id).map(|entry| entry.object.clone())).await?;
        if let (Some(found), Some(fields)) = (found, object.as_object_mut()) {
            fields.insert(field.to_owned(), found);
        }
        Ok(())
    }
}
