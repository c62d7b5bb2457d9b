//! Maps and sets that are used several times for each resource of an estate.
//!
//! Their hasher is fast and has its own seed in each process. It does not resist keys that are chosen to slow it down; the keys
//! are names from an estate, its store and its targets.

use foldhash::fast::RandomState;

pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub type HashSet<K> = std::collections::HashSet<K, RandomState>;
/// In order of insertion.
pub type IndexMap<K, V> = indexmap::IndexMap<K, V, RandomState>;
