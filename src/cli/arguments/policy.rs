//! Arguments of the commands about policies.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// List the rules of the estate's policies: what each is evaluated for, and what happens where it is broken.
    List {
        /// List the policies that ship with Tenantry instead.
        #[arg(long)]
        library: bool,
    },
    /// Run the tests of the policies, without an estate's targets or store. Ends with 1 if one fails.
    Test {
        /// Files and folders with policies; the estate's own policies if there are none.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Test the policies that ship with Tenantry instead.
        #[arg(long, conflicts_with = "paths")]
        library: bool,
    },
    /// Write policies of the library into the estate, as `policies/NAME.yaml`.
    Add {
        /// Their names; `policy list --library` lists them.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// Replace files that exist.
        #[arg(long)]
        force: bool,
    },
}
