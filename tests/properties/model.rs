//! An estate as a value that can be drawn, edited and written as YAML.
//!
//! The blueprint is one whose parts are there or not: it has every PostgreSQL kind, marks of both sorts, references
//! between resources, conditions, lists, secrets, estate and tier resources, and the kinds of [`super::bank`], whose names
//! are only known once something else exists.

use proptest::prelude::*;
use tenantry_core::model::document::Phase;

/// Names of tenants. One is too long for a role, so that it is shortened with a hash.
pub const NAMES: [&str; 5] =
    ["acme", "bolt-two", "cargo", "dune", "e-very-long-name-that-no-role-of-any-server-can-have-as-it-is"];
const SERVICES: [&str; 3] = ["auth", "orders", "mail"];
const PRIVILEGES: [&str; 4] = ["SELECT", "INSERT", "update", "DELETE"];
const COMMANDS: [&str; 3] = ["all", "select", "update"];
pub const TIERS: [&str; 2] = ["basic", "pro"];

/// A whole estate.
#[derive(Clone, Debug)]
pub struct Model {
    pub tenants: Vec<Tenant>,
    pub parts: Parts,
    /// Whether a document allows every deletion.
    pub approved: bool,
    /// Owners that are written at the same time.
    pub parallelism: usize,
}

#[derive(Clone, Debug)]
pub struct Tenant {
    pub name: String,
    pub previously: Option<String>,
    pub tier: usize,
    pub phase: Phase,
    /// Whether it is placed on the second server.
    pub aside: bool,
    pub sso: bool,
    pub limit: u8,
    pub services: Vec<&'static str>,
}

/// What the blueprints hold. Numbers choose among variants of a text.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The group that tenants' roles are members of, in the estate's blueprint.
    pub team: bool,
    pub tier_role: bool,
    pub secret_version: u8,
    /// A secret in the middle of a text.
    pub token: bool,
    pub schema: bool,
    /// Whether the schema's resource has another id, and had this one before.
    pub renamed: bool,
    /// Chosen into the schema's name.
    pub suffix: u8,
    pub exclusive: bool,
    pub protect: bool,
    pub usage: bool,
    pub privileges: Vec<&'static str>,
    pub script: Option<u8>,
    pub policy: Option<u8>,
    pub row: bool,
    /// Keys of a column that is owned key by key.
    pub settings: Vec<&'static str>,
    pub services: bool,
    pub database: Option<u8>,
    pub account: Option<u8>,
    pub card: bool,
    pub note: bool,
}

fn subset(all: &'static [&'static str], least: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(all, least..=all.len())
}

fn tenant(name: &'static str) -> impl Strategy<Value = Tenant> {
    let phase = prop::sample::select(vec![Phase::Trial, Phase::Active, Phase::Suspended]);
    (0..TIERS.len(), phase, prop::bool::weighted(0.3), any::<bool>(), 1_u8..4, subset(&SERVICES, 0)).prop_map(
        move |(tier, phase, aside, sso, limit, services)| Tenant {
            name: name.to_owned(),
            previously: None,
            tier,
            phase,
            aside,
            sso,
            limit,
            services,
        },
    )
}

fn parts() -> impl Strategy<Value = Parts> {
    let flags = prop::array::uniform12(any::<bool>());
    let variant = || prop::option::of(0_u8..3);
    let texts = (subset(&PRIVILEGES, 0), subset(&["theme", "tone"], 0));
    (flags, texts, (variant(), variant(), variant(), variant())).prop_map(
        |(flags, (privileges, settings), (script, policy, database, account))| {
            let [team, tier_role, token, schema, exclusive, protect, usage, row, services, card, note, _] = flags;
            Parts {
                team,
                tier_role,
                secret_version: 1,
                token,
                schema,
                renamed: false,
                suffix: 0,
                exclusive,
                protect,
                usage,
                privileges,
                script,
                policy,
                row,
                settings,
                services,
                database,
                account,
                card,
                note,
            }
        },
    )
}

/// Estates of one to `most` tenants.
pub fn model(most: usize) -> impl Strategy<Value = Model> {
    let names = prop::sample::subsequence(&NAMES[..], 1..=most);
    let tenants = names.prop_flat_map(|names| names.into_iter().map(tenant).collect::<Vec<_>>());
    (tenants, parts(), 1_usize..4).prop_map(|(tenants, parts, parallelism)| Model {
        tenants,
        parts,
        approved: true,
        parallelism,
    })
}

/// An estate of tenants that have a role each, and nothing else.
pub fn plain(names: &[&str]) -> Model {
    let tenant = |name: &&str| Tenant {
        name: (*name).to_owned(),
        previously: None,
        tier: 0,
        phase: Phase::Active,
        aside: false,
        sso: false,
        limit: 1,
        services: Vec::new(),
    };
    let parts = Parts {
        team: false,
        tier_role: false,
        secret_version: 1,
        token: false,
        schema: false,
        renamed: false,
        suffix: 0,
        exclusive: false,
        protect: false,
        usage: false,
        privileges: Vec::new(),
        script: None,
        policy: None,
        row: false,
        settings: Vec::new(),
        services: false,
        database: None,
        account: None,
        card: false,
        note: false,
    };
    Model { tenants: names.iter().map(tenant).collect(), parts, approved: true, parallelism: 1 }
}

impl Model {
    /// Every file of the estate with its text.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("tenantry.toml".to_owned(), self.config()),
            ("tenants/tiers.yaml".to_owned(), self.tiers()),
            (
                "tenants/blueprints.yaml".to_owned(),
                [self.platform(), self.saas(), self.extra(), self.tier_wide()].join("---\n"),
            ),
        ];
        files.extend(self.tenants.iter().map(|tenant| (format!("tenants/{}.yaml", tenant.name), tenant.document())));
        if self.approved {
            files.push(("tenants/approval.yaml".to_owned(), APPROVAL.to_owned()));
        }
        files
    }

    fn config(&self) -> String {
        format!(
            "[estate]\nname = \"drawn\"\n[limits]\nparallelism = {}\nmax_deletes = 1\n\
             [rules]\nTY0619 = \"off\"\n[offboarding]\nretention_days = 0\nmin_retention_days = 0\n\
             [targets.main]\nprovider = \"postgres\"\nsandbox = true\ndefault = true\n\
             [targets.side]\nprovider = \"postgres\"\nsandbox = true\n\
             [targets.bank]\nprovider = \"bank\"\nsandbox = true\n",
            self.parallelism
        )
    }

    fn tiers(&self) -> String {
        let tier = |(rank, name): (usize, &&str)| {
            let extra = if rank == 0 { "" } else { ", extra" };
            format!(
                "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: {name}}}\nspec:\n  rank: {rank}\n  \
                 blueprints: [saas, tier-wide{extra}]\n  quotas: {{users: {}}}\n  features: [api]\n  \
                 values: {{timeout: {}s, limit: 1, services: [], sso: false}}\n",
                if rank == 0 { "10" } else { "unlimited" },
                30 * (rank + 1)
            )
        };
        TIERS.iter().enumerate().map(tier).collect::<Vec<_>>().join("---\n")
    }

    fn platform(&self) -> String {
        let mut text = blueprint("platform", "estate");
        for target in ["main", "side"] {
            text += &format!(
                "    - {{id: control_{target}, target: {target}, kind: postgres.schema, spec: {{name: control}}}}\n"
            );
            if self.parts.team {
                text += &format!(
                    "    - {{id: team_{target}, target: {target}, kind: postgres.role, spec: {{name: team}}}}\n"
                );
            }
        }
        text
    }

    fn tier_wide(&self) -> String {
        if !self.parts.tier_role {
            return blueprint("tier-wide", "tier").replace("resources:\n", "resources: []\n");
        }
        blueprint("tier-wide", "tier")
            + "    - {id: reader, kind: postgres.role, spec: {name: \"tier_${tier.name}\", settings: {statement_timeout: \"${tier.values.timeout}\"}}}\n"
    }

    fn saas(&self) -> String {
        let Parts { team, secret_version, token, exclusive, protect, usage, suffix, renamed, .. } = self.parts;
        let mut text = blueprint("saas", "tenant");
        let member = if team { "memberOf: [team], " } else { "" };
        let token = if token { ", app.token: \"t-${secret('token')}-x\"" } else { "" };
        text += &format!(
            "    - id: app_role\n      kind: postgres.role\n      spec: {{name: \"${{ident(tenant.name, 50)}}_app\", {member}login: \"${{tenant.phase in ['trial', 'active']}}\", \
             password: \"${{secret('db-password', {secret_version})}}\", connectionLimit: \"${{tenant.values.limit}}\", \
             settings: {{statement_timeout: \"${{tenant.values.timeout}}\"{token}}}}}\n"
        );
        if self.parts.schema {
            let schema = if renamed { "space" } else { "schema" };
            let previously = if renamed { ", previously: [schema]" } else { "" };
            let name = format!("${{resources.{schema}.name}}");
            text += &format!(
                "    - {{id: {schema}, kind: postgres.schema, protect: {protect}{previously}, \
                 spec: {{name: \"t{suffix}_${{ident(tenant.name, 50)}}\", exclusive: {exclusive}}}}}\n"
            );
            if usage {
                text += &format!(
                    "    - {{id: usage, kind: postgres.grant, spec: {{role: \"${{resources.app_role.name}}\", on: schema, schema: \"{name}\", privileges: [USAGE]}}}}\n"
                );
            }
            if !self.parts.privileges.is_empty() {
                text += &format!(
                    "    - {{id: tables, kind: postgres.grant, spec: {{role: \"${{resources.app_role.name}}\", on: defaultTables, schema: \"{name}\", privileges: [{}]}}}}\n",
                    self.parts.privileges.join(", ")
                );
            }
            if let Some(variant) = self.parts.script {
                text += &format!(
                    "    - {{id: setup, kind: postgres.script, spec: {{name: setup, schema: \"{name}\", sql: \"CREATE TABLE IF NOT EXISTS records (v{variant} text);\"}}}}\n"
                );
            }
            if let Some(command) = self.parts.policy {
                let after = if self.parts.script.is_some() { "dependsOn: [setup], " } else { "" };
                text += &format!(
                    "    - {{id: isolation, kind: postgres.rls_policy, {after}spec: {{schema: \"{name}\", table: records, name: own, command: {}, \
                     roles: [\"${{resources.app_role.name}}\"], using: \"owner = ${{sqlText(tenant.name)}}\"}}}}\n",
                    COMMANDS[usize::from(command)]
                );
            }
        }
        if self.parts.row {
            let settings: Vec<String> =
                self.parts.settings.iter().map(|key| format!("{key}: \"${{tenant.name}}\"")).collect();
            let account = if self.parts.account.is_some() { ", account: \"acct:${resources.account.id}\"" } else { "" };
            text += &format!(
                "    - {{id: registration, kind: postgres.row, spec: {{schema: control, table: tenants, key: {{id: \"${{tenant.name}}\"}}, \
                 columns: {{tier: \"${{tenant.tier}}\", phase: \"${{tenant.phase}}\", seats: \"${{unlimited(tenant.quotas.users, 0)}}\", \
                 settings: {{{}}}{account}}}}}}}\n",
                settings.join(", ")
            );
        }
        if let Some(variant) = self.parts.account {
            let currency = if variant == 0 { "usd" } else { "eur" };
            text += &format!(
                "    - {{id: account, kind: bank.account, spec: {{name: \"${{tenant.name}}\", currency: {currency}, limit: {variant}}}}}\n"
            );
            if self.parts.card {
                text += "    - {id: card, kind: bank.card, spec: {account: \"${resources.account.id}\", label: main, pin: \"${secret('pin')}\"}}\n";
            }
        }
        if self.parts.note {
            // Its own name, or one that is only known once the account exists.
            let key =
                if self.parts.account.is_some() && self.parts.card { "resources.account.id" } else { "tenant.name" };
            text += &format!(
                "    - {{id: note, kind: bank.note, spec: {{key: \"${{{key}}}\", text: \"for ${{tenant.tier}}, ${{tenant.values.limit}}\", \
                 code: \"c-${{secret('code', {secret_version})}}\"}}}}\n"
            );
        }
        text
    }

    fn extra(&self) -> String {
        let mut text = blueprint("extra", "tenant");
        let mut empty = true;
        if self.parts.services {
            empty = false;
            text += "    - {id: service, forEach: \"${tenant.values.services}\", kind: postgres.row, spec: {schema: control, table: services, \
                     key: {tenant: \"${tenant.name}\", service: \"${each}\"}, columns: {since: \"${tenant.phase}\"}}}\n";
        }
        if let Some(variant) = self.parts.database {
            empty = false;
            let encoding = if variant == 2 { "LATIN1" } else { "utf-8" };
            text += &format!(
                "    - {{id: reports, when: \"${{tenant.values.sso}}\", kind: postgres.database, \
                 spec: {{name: \"r_${{ident(tenant.name, 50)}}\", owner: \"${{ident(tenant.name, 50)}}_app\", connectionLimit: {variant}, encoding: {encoding}}}}}\n"
            );
        }
        if empty { text.replace("resources:\n", "resources: []\n") } else { text }
    }
}

const APPROVAL: &str = "apiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {name: everything}\n\
                        spec: {allow: [delete, massDelete], addresses: ['estate/*', 'tier:*', '*acme*', '*bolt-two*', '*cargo*', '*dune*', '*-very-*'], reason: drawn, expires: 2100-01-01}\n";

fn blueprint(name: &str, scope: &str) -> String {
    format!(
        "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: {name}}}\nspec:\n  scope: {scope}\n  resources:\n"
    )
}

impl Tenant {
    fn document(&self) -> String {
        let Self { name, previously, tier, phase, aside, sso, limit, services } = self;
        let previously = previously.as_ref().map(|name| format!(", previously: [{name}]")).unwrap_or_default();
        let placement = if *aside { "  placement: {database: side}\n" } else { "" };
        format!(
            "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {name}{previously}}}\nspec:\n  displayName: {name}\n  \
             tier: {}\n  phase: {}\n{placement}  values: {{limit: {limit}, sso: {sso}, services: [{}]}}\n",
            TIERS[*tier],
            phase.as_str(),
            services.join(", ")
        )
    }
}
