//! What `DROP SCHEMA … CASCADE` would destroy outside the schema: views that select from a table in it, columns of a type in it,
//! constraints that refer to it. The server drops them without asking.

use std::collections::{BTreeSet, HashMap};

use sqlx::{PgConnection, Row as _};

use crate::error::Failure;

/// Everything that goes with a schema, as the server follows its own records: what depends on what goes, and what an object is
/// an internal part of. What stands in the schema itself is left out, and so is what another object that is told stands for.
const QUERY: &str = "
WITH RECURSIVE gone (root, classid, objid, objsubid) AS (
  SELECT n.oid, 'pg_catalog.pg_namespace'::pg_catalog.regclass::oid, n.oid, 0
  FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::text[]::name[])
  UNION
  SELECT g.root, e.classid, e.objid, e.objsubid
  FROM gone g CROSS JOIN LATERAL (
    SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = g.classid AND d.refobjid = g.objid AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid)
    UNION ALL
    SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d
    WHERE d.classid = g.classid AND d.objid = g.objid AND d.objsubid = g.objsubid AND d.deptype IN ('i', 'e')
  ) e
), told AS (
  SELECT g.root, g.classid, g.objid, g.objsubid,
         COALESCE(w.ev_class, t.tgrelid, p.polrelid, a.adrelid, NULLIF(k.conrelid, 0), c.oid) AS relation,
         w.oid IS NOT NULL AND v.relkind IN ('v', 'm') AS is_rule_of_view,
         COALESCE(t.tgisinternal, false) OR c.relkind IN ('t', 'i', 'I') AND g.objsubid = 0 AND x.indexrelid IS NOT NULL
           AND EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conindid = c.oid AND o.conrelid = x.indrelid) AS is_part
  FROM gone g
  LEFT JOIN pg_catalog.pg_rewrite w ON g.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = g.objid
  LEFT JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
  LEFT JOIN pg_catalog.pg_trigger t ON g.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = g.objid
  LEFT JOIN pg_catalog.pg_policy p ON g.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = g.objid
  LEFT JOIN pg_catalog.pg_attrdef a ON g.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = g.objid
  LEFT JOIN pg_catalog.pg_constraint k ON g.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = g.objid
  LEFT JOIN pg_catalog.pg_class c ON g.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = g.objid
  LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
)
SELECT DISTINCT r.nspname::text, i.type || ' ' || i.identity
FROM told o
JOIN pg_catalog.pg_namespace r ON r.oid = o.root
CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, o.objsubid) AS i (type, schema, name, identity)
LEFT JOIN pg_catalog.pg_class c ON c.oid = o.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE o.classid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass
  AND o.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass
  AND COALESCE(n.nspname::text, i.schema, '') <> r.nspname
  AND COALESCE(n.nspname::text, '') NOT IN ('pg_toast') AND NOT o.is_rule_of_view AND NOT o.is_part
  -- The row type of a table or view, and its array, go with it; so does a column with its table.
  AND NOT (o.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND EXISTS (
    SELECT FROM pg_catalog.pg_type y LEFT JOIN pg_catalog.pg_type e ON e.oid = y.typelem
    WHERE y.oid = o.objid AND (y.typrelid <> 0 AND EXISTS (SELECT FROM pg_catalog.pg_class z WHERE z.oid = y.typrelid AND z.relkind <> 'c')
                               OR y.typcategory = 'A' AND e.typarray = y.oid)))
  AND NOT (o.objsubid <> 0 AND EXISTS (SELECT FROM gone w WHERE w.root = o.root AND w.classid = o.classid AND w.objid = o.objid AND w.objsubid = 0))
  AND NOT (o.relation IS NOT NULL AND o.relation <> o.objid AND EXISTS (
    SELECT FROM gone w WHERE w.root = o.root AND w.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND w.objid = o.relation AND w.objsubid = 0))
ORDER BY 1, 2";

/// By schema, what would go with it though it is elsewhere.
pub async fn fetch(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<HashMap<String, BTreeSet<String>>, Failure> {
    let mut beyond: HashMap<String, BTreeSet<String>> = HashMap::new();
    if schemas.is_empty() {
        return Ok(beyond);
    }
    for row in sqlx::query(QUERY).bind(schemas).fetch_all(connection).await? {
        beyond.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?);
    }
    Ok(beyond)
}
