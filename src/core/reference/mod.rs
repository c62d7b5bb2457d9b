//! The reference of `docs/reference/`, as far as it is about what core describes as data: forms, kinds and codes.
//!
//! Each page is a pure function of the description itself, and a test fails if the page in the repository is not current:
//! `TENANTRY_BLESS=1 cargo test --workspace --test all documents` writes them.

pub mod codes;
pub mod fields;
pub mod kinds;

/// The line by which a reader of a page's source sees that it is not edited by hand.
pub const GENERATED: &str =
    "<!-- Generated from the code: `TENANTRY_BLESS=1 cargo test --workspace --test all documents` rewrites it. -->";

/// A text as it stands in a cell of a table: one line, in which no bar ends the cell.
pub fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
