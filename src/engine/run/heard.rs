//! What targets say beside success.

use super::super::request::Event;
use super::{Notices, Run, locked};
use tenantry_core::plan::Change;
use tenantry_provider::contract::Written;

impl Run<'_> {
    /// Keeps what was said of a change, and tells it.
    pub(super) fn hear(&self, change: &Change, written: &[Written]) {
        let said = written.iter().flat_map(|written| &written.notices);
        let notices: Vec<String> = said.map(|words| self.mask(words)).collect();
        if notices.is_empty() {
            return;
        }
        self.request.progress.event(&Event::Noticed { address: &change.address, notices: &notices });
        locked(&self.notices).entry(change.address.clone()).or_default().extend(notices);
    }

    /// All that was said in this run.
    pub fn take_notices(&self) -> Notices {
        std::mem::take(&mut *locked(&self.notices))
    }
}
