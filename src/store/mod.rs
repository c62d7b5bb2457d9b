//! Tenantry's own record: journal, inventory, locks.

pub mod contract;
