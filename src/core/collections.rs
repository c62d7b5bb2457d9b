//! Maps and sets that are asked several times for each resource of an estate.
//!
//! Their hasher is a fast one with a seed of its own in each process. It is not meant to withstand somebody who chooses keys to
//! slow it down; keys are names out of an estate, its store and its targets.

use foldhash::fast::RandomState;

pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub type HashSet<K> = std::collections::HashSet<K, RandomState>;
/// In order of insertion.
pub type IndexMap<K, V> = indexmap::IndexMap<K, V, RandomState>;
