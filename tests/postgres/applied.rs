//! What an apply leaves behind, as the command shows it.

use crate::notices::Estate;
use crate::support::postgres::in_every_database;

#[test]
fn what_the_server_adds_to_a_new_object_goes_in_the_same_apply() {
    in_every_database("what_the_server_adds_to_a_new_object_goes_in_the_same_apply", async |world| {
        let (clerk, database) = (world.name("clerk"), world.name("till"));
        let estate = Estate::new(world);
        estate.write(&format!(
            "    - {{id: clerk, kind: postgres.role, spec: {{name: {clerk}}}}}\n    \
             - {{id: shop, kind: postgres.schema, spec: {{name: shop}}}}\n    \
             - {{id: later, kind: postgres.grant, dependsOn: [clerk, shop], spec: {{role: {clerk}, on: defaultTables, schema: shop, privileges: [ALL]}}}}\n    \
             - id: tables\n      kind: postgres.script\n      dependsOn: [later]\n      spec: {{schema: shop, name: t, sql: \"CREATE TABLE sales (id int); CREATE TABLE stock (id int)\"}}\n    \
             - {{id: sales, kind: postgres.grant, dependsOn: [tables], spec: {{role: {clerk}, on: table, schema: shop, name: sales, privileges: [INSERT]}}}}\n    \
             - {{id: till, kind: postgres.database, spec: {{name: {database}}}}}\n    \
             - {{id: nobody, kind: postgres.grant, dependsOn: [till], spec: {{database: {database}, role: PUBLIC, on: database, privileges: []}}}}\n"
        ));
        let applied = estate.run(&["apply", "--auto-approve"]);
        assert_eq!(applied.exit, 0, "{applied:#?}");
        let planned = estate.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(planned.exit, 0, "{planned:#?}");
        let list = world.ask("SELECT relacl::text FROM pg_class WHERE oid = 'shop.sales'::regclass").await;
        assert!(list.contains(&format!("{clerk}=a/")), "{list}");
        let list = world.ask(&format!("SELECT datacl::text FROM pg_database WHERE datname = '{database}'")).await;
        assert!(!list.contains("{=") && !list.contains(",="), "{list}");
    });
}

#[test]
fn a_schema_that_somebody_renamed_keeps_its_data() {
    in_every_database("a_schema_that_somebody_renamed_keeps_its_data", async |world| {
        let estate = Estate::new(world);
        let schema = |name: &str| format!("    - {{id: shop, kind: postgres.schema, spec: {{name: {name}}}}}\n");
        estate.write(&schema("shop"));
        assert_eq!(estate.run(&["apply", "--auto-approve"]).exit, 0);
        world.by_hand("CREATE TABLE shop.sales (id int); ALTER SCHEMA shop RENAME TO shop_2030").await;
        let applied = estate.run(&["apply", "--auto-approve"]);
        assert_eq!(applied.exit, 5, "{applied:#?}");
        assert!(applied.out.contains("`shop` is now called `shop_2030`"), "{applied:#?}");
        assert_eq!(world.ask("SELECT to_regnamespace('shop')::text").await, "", "an empty one was made");
        // Followed, there is nothing to do but to write it down.
        estate.write(&schema("shop_2030"));
        assert_eq!(estate.run(&["apply", "--auto-approve"]).exit, 0);
        let planned = estate.run(&["plan", "--detailed-exitcode"]);
        assert!(planned.exit == 0 && !planned.out.contains("TY0"), "{planned:#?}");
        assert_eq!(world.ask("SELECT to_regclass('shop_2030.sales')::text").await, "shop_2030.sales");
    });
}

#[test]
fn what_a_schema_takes_along_has_to_be_allowed_by_itself() {
    in_every_database("what_a_schema_takes_along_has_to_be_allowed_by_itself", async |world| {
        let estate = Estate::new(world);
        estate.write("    - {id: shop, kind: postgres.schema, spec: {name: shop}}\n");
        assert_eq!(estate.run(&["apply", "--auto-approve"]).exit, 0);
        world.by_hand("CREATE TABLE shop.sales (id int); CREATE SCHEMA report; CREATE VIEW report.daily AS SELECT * FROM shop.sales").await;
        let approve = |allow: &str| {
            let approval = format!(
                "apiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {{name: go}}\n\
                 spec: {{allow: [{allow}], addresses: [\"acme/*\"], reason: closed, expires: \"2099-12-31\"}}\n"
            );
            std::fs::write(estate.path().join("tenants/approval.yaml"), approval).expect("writes");
        };
        estate.write("    - {id: other, kind: postgres.schema, spec: {name: other}}\n");
        approve("delete, massDelete");
        let refused = estate.run(&["apply", "--auto-approve"]);
        assert_eq!(refused.exit, 3, "{refused:#?}");
        assert!(refused.out.contains("would also destroy view report.daily"), "{refused:#?}");
        approve("delete, massDelete, cascade");
        let saved = estate.path().join("plan.json");
        let saved = saved.to_str().expect("text");
        assert_eq!(estate.run(&["plan", "--out", saved]).exit, 0);
        // More than the plan shows is not taken.
        world.by_hand("CREATE VIEW report.yearly AS SELECT * FROM shop.sales").await;
        let stale = estate.run(&["apply", saved, "--auto-approve"]);
        assert_ne!(stale.exit, 0, "{stale:#?}");
        assert_eq!(world.ask("SELECT to_regclass('report.yearly')::text").await, "report.yearly");
        assert_eq!(estate.run(&["apply", "--auto-approve"]).exit, 0);
        assert_eq!(world.ask("SELECT to_regclass('report.daily')::text").await, "");
    });
}
