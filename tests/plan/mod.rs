//! What a plan shows, and what outputs, captured secrets and a sandbox in the sandbox come to.

mod captured;
mod claimed;
mod instances;
mod outputs;
mod shop;
mod shown;
