//! Values in the spellings of a repository: what the server takes is as it was written, and a wrong one stops its own resource.

use serde_json::json;
use tenantry_core::model::resource::Observed;
use tenantry_core::model::value::Value;

use crate::support::postgres::{in_database, on_both_servers};
use crate::support::{create, delete, observe, present, update};

const SHELF: &str = "CREATE SCHEMA \"Back Office\"; CREATE TYPE \"Back Office\".\"Kind\" AS ENUM ('new', 'old'); \
    CREATE DOMAIN \"Back Office\".share AS numeric(5, 3); \
    CREATE TABLE \"Back Office\".shelf (id \"Back Office\".\"Kind\" PRIMARY KEY, at timestamp, at_s timestamp(0), zoned timestamptz(3), \
      day date, clock time, zoned_clock timetz(0), amount numeric(8, 2), part \"Back Office\".share, span interval, net cidr, host inet, \
      stamps timestamptz[], days date[], words text[], ids uuid[], amounts numeric(6, 1)[], kinds \"Back Office\".\"Kind\"[], \
      code char(6), bits bit(4), more varbit, label varchar(8), pos point, span_of daterange, doc tsvector, raw bytea)";

#[test]
fn every_spelling_that_the_server_takes_is_as_it_was_written() {
    on_both_servers("every_spelling_that_the_server_takes_is_as_it_was_written", async |world| {
        world.by_hand(SHELF).await;
        let wanted = world.desired(
            "row",
            "acme/row",
            json!({"schema": "Back Office", "table": "shelf", "key": {"id": "new"}, "columns": {
                "at": "2031-05-06T07:08:09Z", "at_s": "2031-05-06T07:08:09.7Z", "zoned": "2031-05-06T09:08:09.123456+02:00",
                "day": "2031-05-06T00:00:00Z", "clock": "07:08", "zoned_clock": "07:08:09.6Z", "amount": "12.345", "part": 0.12345,
                "span": "P1DT2H", "net": "10.1/16", "host": "10.1.2.3/32", "stamps": ["2031-05-06T09:08:09+02:00", null],
                "days": ["20310506"], "words": [1, true, "x, y"], "ids": ["A0EEBC999C0B4EF8BB6D6BB9BD380A11"], "amounts": [1.25, "2"],
                "kinds": ["new", "old"], "code": "ab", "bits": "1010", "more": "101", "label": "x ", "pos": "(1, 2)",
                "span_of": "[2031-05-06,2031-05-07]", "doc": "fat cat", "raw": "\\xDEADBEEF"}}),
        );
        world.create(&[&wanted]).await;
        world.assert_settled(&[&wanted]).await;
        // Repeated it is known by its result, and nothing is written.
        world.create(&[&wanted]).await;
        world.by_hand("UPDATE \"Back Office\".shelf SET amount = 12.36, stamps = '{}'").await;
        let found = present(world.observe(&wanted).await);
        let column = |name: &str| found.spec.get("columns").and_then(|columns| columns.get(name)).map(Value::to_json);
        assert_eq!(
            (column("amount"), column("stamps"), column("day")),
            (Some(json!("12.36")), Some(json!([])), Some(json!("2031-05-06T00:00:00Z")))
        );
        world.write(&[update(&wanted, &found, &[])]).await;
        world.assert_settled(&[&wanted]).await;
    });
}

#[test]
fn a_key_that_cannot_be_stops_its_own_row_only() {
    on_both_servers("a_key_that_cannot_be_stops_its_own_row_only", async |world| {
        world
            .by_hand("CREATE TYPE public.size AS ENUM ('s', 'm'); CREATE TABLE public.things (size public.size, day date, host inet, name text, n int); \
                      INSERT INTO public.things VALUES ('s', '2031-01-01', '10.0.0.1', 'ok', 1)")
            .await;
        for (column, right, wrong) in [
            ("size", "s", "xxl"),
            ("day", "2031-01-01", "2031-02-30"),
            ("host", "10.0.0.1", "10.0.0.999"),
            ("name", "ok", "a\u{0}b"),
        ] {
            let row = |tenant: &str, key: &str| {
                let spec = json!({"table": "things", "key": {column: key}, "columns": {"n": 1}});
                world.desired("row", &format!("{tenant}/row"), spec)
            };
            let rows = [row("good", right), row("bad", wrong)];
            let observations = observe(&*world.reader(), &rows.each_ref(), &[]).await;
            let of =
                |index: usize| observations["postgres.row"].get(rows[index].identity.as_deref().expect("an identity"));
            assert!(matches!(of(0), Observed::Present(_)), "{column}: {:?}", of(0));
            assert!(matches!(of(1), Observed::Unknown(_)), "{column}: {:?}", of(1));
        }
    });
}

#[test]
fn functions_are_found_as_people_write_them_and_a_wrong_one_stops_itself_only() {
    on_both_servers("functions_are_found_as_people_write_them_and_a_wrong_one_stops_itself_only", async |world| {
        let role = world.name("r");
        world
            .by_hand(&format!(
                "CREATE ROLE {role}; CREATE SCHEMA \"my-app\"; CREATE TYPE \"my-app\".\"Plan)\" AS ENUM ('a'); CREATE SCHEMA fn; \
                 CREATE FUNCTION fn.bill(tenant text, months integer DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
                 CREATE FUNCTION fn.split(IN a double precision, OUT b int, OUT c text) LANGUAGE sql AS 'SELECT 1, ''x'''; \
                 CREATE FUNCTION fn.of(p \"my-app\".\"Plan)\", VARIADIC more text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'"
            ))
            .await;
        let grant = |id: &str, name: &str| {
            let spec = json!({"role": role, "on": "function", "schema": "fn", "name": name, "privileges": ["EXECUTE"]});
            world.desired("grant", &format!("acme/{id}"), spec)
        };
        let right = [
            grant("named", "bill(tenant text, months integer)"),
            grant("plain", "bill(text, int)"),
            grant("multiword", "split(IN a double precision, OUT b int, OUT c text)"),
            grant("quoted", "of(p \"my-app\".\"Plan)\", VARIADIC more text[])"),
        ];
        let wrong = [grant("nonsense", "bill(text text text)"), grant("missing", "bill(no_such_type)")];
        world.by_hand("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA fn FROM PUBLIC").await;
        for one in &right {
            world.create(&[one]).await;
        }
        let all: Vec<_> = right.iter().chain(&wrong).collect();
        let observations = observe(&*world.reader(), &all, &[]).await;
        let of = |desired: &tenantry_core::model::resource::Desired| {
            observations["postgres.grant"].get(desired.identity.as_deref().expect("an identity"))
        };
        for one in &right {
            world.assert_is(one, of(one));
        }
        for one in &wrong {
            assert!(!matches!(of(one), Observed::Present(_)));
            assert!(world.try_write(&[create(one)]).await.is_err());
        }
        for one in &right[1..] {
            let known = present(world.observe_known(one).await);
            world.write(&[delete(one, &known)]).await;
            assert_eq!(world.observe_known(one).await, Observed::Absent);
        }
    });
}

#[test]
fn triggers_of_the_product_find_their_tables() {
    in_database("triggers_of_the_product_find_their_tables", async |world| {
        world
            .by_hand(
                "CREATE TABLE public.seats (id int PRIMARY KEY, n int); CREATE TABLE public.log (what text); \
                 CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP); \
                   RETURN COALESCE(NEW, OLD); END $$; \
                 CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON public.seats FOR EACH ROW EXECUTE FUNCTION public.note()",
            )
            .await;
        let row =
            |n: i32| world.desired("row", "acme/row", json!({"table": "seats", "key": {"id": 1}, "columns": {"n": n}}));
        world.create(&[&row(1)]).await;
        let found = present(world.observe(&row(2)).await);
        world.write(&[update(&row(2), &found, &[])]).await;
        let found = present(world.observe_known(&row(2)).await);
        world.write(&[delete(&row(2), &found)]).await;
        assert_eq!(world.ask("SELECT string_agg(what, ' ') FROM public.log").await, "INSERT UPDATE DELETE");
    });
}

#[test]
fn a_row_that_a_trigger_keeps_is_not_called_deleted() {
    in_database("a_row_that_a_trigger_keeps_is_not_called_deleted", async |world| {
        world
            .by_hand(
                "CREATE TABLE public.seats (id int PRIMARY KEY, n int); \
                 CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
                 CREATE TRIGGER keep BEFORE DELETE ON public.seats FOR EACH ROW EXECUTE FUNCTION public.keep()",
            )
            .await;
        let row = world.desired("row", "acme/row", json!({"table": "seats", "key": {"id": 1}, "columns": {"n": 1}}));
        world.create(&[&row]).await;
        let found = present(world.observe_known(&row).await);
        let error = world.try_write(&[delete(&row, &found)]).await.expect_err("the trigger keeps it").error;
        assert!(error.cause.contains("still there"), "{error}");
    });
}

#[test]
fn a_given_up_object_keeps_what_the_product_put_into_it() {
    in_database("a_given_up_object_keeps_what_the_product_put_into_it", async |world| {
        world.by_hand("CREATE TABLE public.conf (id int PRIMARY KEY, cfg jsonb)").await;
        let row = |cfg: serde_json::Value| {
            world.desired("row", "acme/row", json!({"table": "conf", "key": {"id": 1}, "columns": {"cfg": cfg}}))
        };
        let first = row(json!({"keep": 1, "limits": {"mail": {"daily": 5}, "size": 2}}));
        world.create(&[&first]).await;
        world.by_hand("UPDATE public.conf SET cfg = jsonb_set(cfg, '{limits,mail,theirs}', '{\"x\": 1.50}')").await;
        let found = present(world.observe(&first).await);
        let second = row(json!({"keep": 1}));
        let mut step = update(&second, &found, &["/columns/cfg/limits"]);
        if let tenantry_provider::contract::StepAction::Update { applied, .. } = &mut step.action {
            *applied = Some(tenantry_core::model::value::Map::clone(&first.spec));
        }
        world.write(&[step]).await;
        assert_eq!(
            world.ask("SELECT cfg::text FROM public.conf").await,
            r#"{"keep": 1, "limits": {"mail": {"theirs": {"x": 1.50}}}}"#
        );
    });
}

#[test]
fn what_a_schema_takes_along_is_told_and_nothing_else_is_dropped() {
    on_both_servers("what_a_schema_takes_along_is_told_and_nothing_else_is_dropped", async |world| {
        let schema = world.desired("schema", "acme/schema", json!({"name": "stock"}));
        world.create(&[&schema]).await;
        world
            .by_hand(
                "CREATE TABLE stock.items (id int PRIMARY KEY, n int); CREATE TYPE stock.mood AS ENUM ('a'); \
                 CREATE FUNCTION stock.one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW stock.inner AS SELECT * FROM stock.items",
            )
            .await;
        let found = present(world.observe_known(&schema).await);
        assert!(found.takes_along.is_empty(), "{:?}", found.takes_along);
        world
            .by_hand(
                "CREATE SCHEMA crm; CREATE TABLE crm.people (id int, mood stock.mood, item int REFERENCES stock.items, n int DEFAULT stock.one()); \
                 CREATE VIEW crm.latest AS SELECT n FROM stock.items; CREATE VIEW crm.second AS SELECT * FROM crm.latest",
            )
            .await;
        // Nobody has seen it.
        let error = world.try_write(&[delete(&schema, &found)]).await.expect_err("more would go").error;
        assert!(error.cause.contains("view crm.latest"), "{error}");
        let found = present(world.observe_known(&schema).await);
        let told: Vec<&str> = found.takes_along.iter().map(|text| &**text).collect();
        assert_eq!(
            told,
            [
                "default value for crm.people.n",
                "table column crm.people.mood",
                "table constraint people_item_fkey on crm.people",
                "view crm.latest",
                "view crm.second",
            ]
        );
        world.write(&[delete(&schema, &found)]).await;
        assert_eq!(world.observe_known(&schema).await, Observed::Absent);
        assert_eq!(world.ask("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'crm.people'::regclass AND attnum > 0 AND NOT attisdropped").await, "id,item,n");
    });
}
