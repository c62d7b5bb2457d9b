//! Every statement of the store, except for those that write rows (see `rows.rs`).
//!
//! Keys are passed as one JSON text, an array of arrays, so that ten thousand locks are one statement. The two dialects
//! differ in the function that unfolds such a list, and in how a writer is alone: PostgreSQL locks the row of the scope,
//! SQLite the file.
//!
//! Every statement names its scope. Where it comes with a list, the list is `$1` and the scope `$2`.

/// Statements that take a list as their first parameter and the scope as their second, and those that differ otherwise.
pub struct Statements {
    /// The counters of a scope, to be changed: nobody else changes them until the end of the transaction.
    pub head: &'static str,
    /// List of `[address]`.
    pub close_steps: &'static str,
    /// List of `[address]`.
    pub forget_applied: &'static str,
    /// List of `[owner]`. Answers `owner, holder, process, token, acquired, expires`.
    pub locks_of: &'static str,
    /// List of `[owner]`.
    pub remove_locks: &'static str,
}

macro_rules! statements {
    ($list:literal, $alone:literal) => {
        Statements {
            head: concat!("SELECT sequence, hash, token, run FROM scopes WHERE id = $1", $alone),
            close_steps: concat!(
                "DELETE FROM open_steps WHERE scope = $2 AND address IN (SELECT value ->> 0 FROM ",
                $list,
                ")"
            ),
            forget_applied: concat!(
                "DELETE FROM inventory WHERE scope = $2 AND address IN (SELECT value ->> 0 FROM ",
                $list,
                ")"
            ),
            locks_of: concat!(
                "SELECT owner, holder, process, token, acquired, expires FROM locks \
                 WHERE scope = $2 AND owner IN (SELECT value ->> 0 FROM ",
                $list,
                ")"
            ),
            remove_locks: concat!(
                "DELETE FROM locks WHERE scope = $2 AND owner IN (SELECT value ->> 0 FROM ",
                $list,
                ")"
            ),
        }
    };
}

pub const SQLITE: Statements = statements!("json_each($1)", "");
pub const POSTGRES: Statements = statements!("jsonb_array_elements($1::jsonb)", " FOR UPDATE");

/// Parameters: estate and environment.
pub const ADD_SCOPE: &str = "INSERT INTO scopes (estate, environment, sequence, hash, token, run) VALUES ($1, $2, 0, \
     '0000000000000000000000000000000000000000000000000000000000000000', 0, 0) \
     ON CONFLICT (estate, environment) DO NOTHING";
pub const SCOPE: &str = "SELECT id FROM scopes WHERE estate = $1 AND environment = $2";
pub const COUNTERS: &str = "SELECT sequence, hash, token, run FROM scopes WHERE id = $1";
pub const SET_HEAD: &str = "UPDATE scopes SET sequence = $2, hash = $3, token = $4, run = $5 WHERE id = $1";

pub const ALL_LOCKS: &str = "SELECT owner, holder, process, token, acquired, expires FROM locks \
     WHERE scope = $1 AND expires > $2 ORDER BY owner";
pub const LOST: &str = "SELECT owner FROM lost WHERE scope = $1 AND holder = $2";
pub const EXPIRED: &str =
    "SELECT owner FROM locks WHERE scope = $1 AND holder = $2 AND expires <= $3 ORDER BY owner LIMIT 1";
/// An earlier heartbeat that arrives late shortens nothing.
pub const EXTEND: &str =
    "UPDATE locks SET expires = $4 WHERE scope = $1 AND holder = $2 AND expires > $3 AND expires < $4";
pub const RELEASE: &str = "DELETE FROM locks WHERE scope = $1 AND holder = $2";
pub const FORGET_LOST: &str = "DELETE FROM lost WHERE scope = $1 AND holder = $2";

pub const PHASES: &str = "SELECT tenant, phase FROM phases WHERE scope = $1";
/// Each tenant with its last entry about a phase. The table of phases names the tenants, so that each is one way back through its
/// own entries.
pub const TENANTS: &str = "SELECT tenant, phase, (SELECT detail FROM journal WHERE scope = $1 AND owner = tenant \
     AND event = 'phaseEntered' ORDER BY sequence DESC LIMIT 1) FROM phases WHERE scope = $1";
pub const OPEN_STEPS: &str =
    "SELECT address, sequence, step FROM open_steps WHERE scope = $1 ORDER BY sequence, address";
pub const TARGETS: &str = "SELECT target, fingerprint, since FROM targets WHERE scope = $1 ORDER BY target";

/// One row for many: see `inventory.rs` for the format. Parameters: the scope, the last id already read, and the most rows.
pub const INVENTORY: &str = "SELECT count(*), coalesce(max(id), 0), coalesce(string_agg(packed, ''), '') FROM (SELECT id, \
     octet_length(address) || ':' || address || octet_length(kind) || ':' || kind || \
     octet_length(target) || ':' || target || octet_length(identity) || ':' || identity || \
     octet_length(spec) || ':' || spec || octet_length(outputs) || ':' || outputs || \
     octet_length(depends_on) || ':' || depends_on || generation || ':' || protect || ':' || sequence || ':' AS packed \
     FROM inventory WHERE scope = $1 AND id > $2 ORDER BY id LIMIT $3) AS part";

/// The last entry that anything on record came from. It is there as long as the journal is whole.
pub const LAST_TRACE: &str = "SELECT coalesce(max(sequence), 0) FROM (\
     SELECT max(sequence) AS sequence FROM inventory WHERE scope = $1 \
     UNION ALL SELECT max(sequence) FROM open_steps WHERE scope = $1) AS traces";
pub const LAST_ENTRY: &str = "SELECT sequence, hash FROM journal WHERE scope = $1 ORDER BY sequence DESC LIMIT 1";
pub const ENTRIES_AFTER: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence LIMIT $4";
pub const DETAIL_OF_ENTRY: &str = "SELECT detail FROM journal WHERE scope = $1 AND sequence = $2";
pub const HASH_OF_ENTRY: &str = "SELECT hash FROM journal WHERE scope = $1 AND sequence = $2";
pub const HISTORY: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 ORDER BY sequence DESC LIMIT $2";
pub const HISTORY_OF_OWNER: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 AND owner = $3 ORDER BY sequence DESC LIMIT $2";
pub const HISTORY_OF_EVENT: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 AND event = $3 ORDER BY sequence DESC LIMIT $2";
pub const ENDS_OF_RUNS: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 AND event = 'runEnded' AND run >= $2";
pub const SIZES_OF_RUNS: &str = "SELECT run, count(*), count(DISTINCT owner) FROM journal \
     WHERE scope = $1 AND event IN ('stepEnded', 'forgotten') AND run >= $2 GROUP BY run";
pub const HISTORY_OF_RUN: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 AND run = $3 ORDER BY sequence DESC LIMIT $2";
pub const HISTORY_OF_RUN_AND_OWNER: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE scope = $1 AND run = $3 AND owner = $4 ORDER BY sequence DESC LIMIT $2";

/// Several statements in one round trip: the view is one for the whole transaction.
pub const POSTGRES_BEGIN_READ: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO tenantry_store";

/// Writers of one scope wait for each other at its row, so that the hash chain does not fork; see [`Statements::head`].
/// Durability is asked for here because a database's default may be less.
pub const POSTGRES_BEGIN_WRITE: &str =
    "BEGIN; SET LOCAL search_path TO tenantry_store; SET LOCAL synchronous_commit TO on";

/// Held while tables are created or migrated, also by the writers of format 1; the number is the name "tenantry" in ASCII.
pub const POSTGRES_ALONE: &str = "SELECT pg_advisory_xact_lock(8387231245791425145)";
