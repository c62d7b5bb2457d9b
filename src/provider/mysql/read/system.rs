//! Which server it is.
//!
//! | where | what | stays the same |
//! |---|---|---|
//! | MySQL, group replication | `group_replication_group_name` | on every member of the group |
//! | MariaDB, Galera | `wsrep_cluster_state_uuid` | on every node of the cluster |
//! | MySQL | `server_uuid`, in `auto.cnf` of the data directory | until a replica takes over |
//! | MariaDB 10.5.26, 10.6.19, 10.11.9, 11.4.3 and newer | `server_uid`, of the network card and the port | on the same machine |
//! | earlier MariaDB | host name and port | on the same machine |
//!
//! What is asked for needs no privilege. The databases of a server are resources and no part of what it is.

use std::collections::HashMap;

use sqlx::{MySqlConnection, Row as _};

use super::super::error::Failure;
use tenantry_core::fingerprint::Fingerprint;

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
    ('group_replication_group_name', 'server_uuid', 'server_uid', 'hostname', 'port')";
const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name = 'wsrep_cluster_state_uuid'";

pub async fn fingerprint(connection: &mut MySqlConnection) -> Result<Option<Fingerprint>, Failure> {
    let mut told = HashMap::new();
    for sql in [VARIABLES, STATUS] {
        for row in sqlx::query(sql).fetch_all(&mut *connection).await? {
            told.insert(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
        }
    }
    Ok(of(&told))
}

fn of(told: &HashMap<String, String>) -> Option<Fingerprint> {
    // A node that is in no cluster has a UUID of zeros, or none.
    let is_set = |value: &&String| value.chars().any(|c| !matches!(c, '0' | '-'));
    let value = |name: &str| told.get(name).filter(is_set);
    let text = match (value("group_replication_group_name"), value("wsrep_cluster_state_uuid")) {
        (Some(group), _) => format!("group {group}"),
        (None, Some(cluster)) => format!("cluster {cluster}"),
        (None, None) => match value("server_uuid").or_else(|| value("server_uid")) {
            Some(server) => format!("server {server}"),
            None => format!("host {}, port {}", value("hostname")?, value("port")?),
        },
    };
    Fingerprint::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_members_share_comes_before_what_is_a_server_s_own() {
        let text = |told: &[(&str, &str)]| {
            let told = told.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            of(&told).map(|fingerprint| fingerprint.to_string())
        };
        let own = [("server_uuid", "a-1"), ("hostname", "db"), ("port", "3306")];
        assert_eq!(text(&own).as_deref(), Some("server a-1"));
        let grouped = [&own[..], &[("group_replication_group_name", "b-2")]].concat();
        assert_eq!(text(&grouped).as_deref(), Some("group b-2"));
        let node = [("server_uid", "x="), ("wsrep_cluster_state_uuid", "c-3")];
        assert_eq!(text(&node).as_deref(), Some("cluster c-3"));
        let alone = [("server_uid", "x="), ("wsrep_cluster_state_uuid", "00000000-0000-0000-0000-000000000000")];
        assert_eq!(text(&alone).as_deref(), Some("server x="));
        assert_eq!(text(&own[1..]).as_deref(), Some("host db, port 3306"));
        assert_eq!(text(&[]), None);
    }
}
