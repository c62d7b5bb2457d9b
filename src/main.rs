//! The `tenantry` command: parse, run, exit code.

use std::process::ExitCode;

/// A plan of many tenants is millions of small texts and maps, made on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tenantry::main()
}
