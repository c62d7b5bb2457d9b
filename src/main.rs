//! The `tenantry` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tenantry::main()
}
