//! How each code comes about, and what helps. Rules say that themselves ([`crate::rules::Rule`]).

use super::codes::{self, Code};

/// The cause and the remedy of a code; `None` for a rule, or a code that has no text yet, which a test reports.
pub fn of(code: Code) -> Option<(&'static str, &'static str)> {
    TEXTS.iter().find(|(known, ..)| *known == code).map(|(_, cause, remedy)| (*cause, *remedy))
}

const TEXTS: &[(Code, &str, &str)] = &[
    // 00: files
    (
        codes::FILE_UNREADABLE,
        "Permissions, a broken link, or a damaged repository.",
        "Check the file's permissions; check the repository with `git fsck`.",
    ),
    (
        codes::FILE_TOO_LARGE,
        "A file of data lies among the documents, or one file has very many tenants.",
        "Split the file, or raise `limits.max_file_bytes`. Put several tenants into one file if there are too many files.",
    ),
    (codes::FILE_NOT_UTF8, "An editor saved the file in another encoding.", "Save it as UTF-8."),
    (
        codes::FILE_SYMLINK_ESCAPES,
        "A link leads to a folder beside the estate, or to nothing.",
        "Copy the file into the estate, or link to one within it.",
    ),
    (
        codes::FILE_CONTROL_CHARACTER,
        "The file is binary, or text was pasted with invisible characters.",
        "Remove the character, or write it as an escape in a quoted text.",
    ),
    (
        codes::ESTATE_MISSING,
        "The command was started in another folder.",
        "`-C DIR` chooses the estate's folder; `tenantry init` creates an estate.",
    ),
    (
        codes::CONFIG_INVALID,
        "A field of `tenantry.toml` is misspelled or has another type.",
        "See [the configuration](configuration.md).",
    ),
    (
        codes::INLINE_SECRET,
        "A password or key was written into the configuration.",
        "Write `env:NAME` or `file:PATH`. If it was ever committed, change the secret itself.",
    ),
    (
        codes::FILE_SUBSTITUTED,
        "Git LFS was not set up, a key of git-crypt is missing, or a merge was not finished.",
        "`git lfs pull`, unlock the repository, or resolve the conflict.",
    ),
    (codes::FILE_EMPTY, "The content was lost, or the file is not needed.", "Restore the content or remove the file."),
    (
        codes::NOT_CHECKED_OUT,
        "The checkout is sparse, or has its submodules not initialised.",
        "`git submodule update --init`, or widen the sparse checkout.",
    ),
    (
        codes::REVISION_UNKNOWN,
        "Git refuses the folder, or the repository has a form that is not supported.",
        "See [the revision](../documents.md#the-revision). The plan goes on without a revision.",
    ),
    // 01: documents
    (
        codes::YAML_SYNTAX,
        "Indentation, a missing quotation mark, or a tag or a complex key.",
        "Correct it at the place that the message shows.",
    ),
    (
        codes::SCHEMA,
        "A required field is missing, or a value has another type or form.",
        "See [the fields of documents](document-fields.md).",
    ),
    (
        codes::UNKNOWN_FIELD,
        "A field is misspelled or is at another level.",
        "Take the name that the message suggests; `tenantry schema KIND` has all.",
    ),
    (codes::DUPLICATE_KEY, "A block was pasted twice, or a merge kept both sides.", "Remove one of them."),
    (
        codes::AMBIGUOUS_SCALAR,
        "A number with a leading zero, a version, or `yes` and `no` without quotation marks.",
        "Quote it to keep the text; see [numbers and texts](../documents.md#numbers-and-texts).",
    ),
    (
        codes::ALIAS_BOMB,
        "Aliases of aliases.",
        "Write the values out, or put what tenants share into their tier's `values`.",
    ),
    (
        codes::UNKNOWN_KIND,
        "`kind` or `apiVersion` is misspelled, or the file is for another program.",
        "Use `tenantry.dev/v1` and a kind of [the reference](document-fields.md); move other files out of `tenants/` and `policies/`.",
    ),
    (
        codes::INVALID_NAME,
        "Upper case, underscores, or more than 63 characters.",
        "Use lower-case letters, digits and hyphens.",
    ),
    (codes::DUPLICATE_NAME, "A document was copied and not renamed.", "Rename or remove one of the two."),
    (
        codes::INVALID_QUANTITY,
        "A unit that is not known, or a fraction.",
        "Write a whole number, one with `k`, `M`, `G`, `Ki`, `Mi`, `Gi` and so on, or `unlimited`.",
    ),
    (
        codes::VALUES_SCHEMA,
        "A tenant lacks a value that the schema requires, or has another.",
        "Correct the value, or the schema in `schemas/tenant.schema.json`.",
    ),
    (codes::NESTED_TOO_DEEPLY, "The YAML was generated, or its indentation went wrong.", "Flatten it."),
    (codes::TOO_MANY_PROBLEMS, "One mistake often causes many.", "Correct the problems above first."),
    (
        codes::EDIT_REFUSED,
        "The place is an alias, one item of a list, or the tenant's name.",
        "Edit the file by hand, as the message says.",
    ),
    // 02: references
    (codes::UNKNOWN_TIER, "The tier's name is misspelled, or its document was removed.", "Use a tier that exists."),
    (
        codes::UNKNOWN_BLUEPRINT,
        "The blueprint's name is misspelled, or its document was removed.",
        "Use a blueprint that exists.",
    ),
    (
        codes::UNKNOWN_TARGET,
        "The target is not in `tenantry.toml`, or not in this environment.",
        "Add it, or use one that exists.",
    ),
    (
        codes::AMBIGUOUS_TARGET,
        "Several targets have the same provider.",
        "Write `placement` in the tenant, `target` in the resource, or `default = true` in one target.",
    ),
    (
        codes::UNKNOWN_RESOURCE_KIND,
        "The kind is misspelled, or its provider is not part of this build.",
        "`tenantry schema` lists the kinds, `tenantry version` the providers.",
    ),
    (
        codes::DUPLICATE_RESOURCE_ID,
        "Two blueprints of one tier use the same id.",
        "Rename one, with `previously` if it was applied.",
    ),
    (
        codes::UNKNOWN_RESOURCE,
        "A resource was renamed or removed, or belongs to another owner.",
        "Use an id of the same owner; `estate/ID` in `dependsOn` is one of the estate.",
    ),
    (
        codes::CIRCULAR_REFERENCE,
        "Two resources use each other's outputs.",
        "Remove one of the references that the message lists.",
    ),
    (
        codes::DUPLICATE_IDENTITY,
        "The name in the target does not depend on the tenant or the item.",
        "Add to it what distinguishes them, such as `${ident(tenant.name)}` or `${each}`.",
    ),
    (
        codes::NAME_TOO_LONG,
        "The name is made of a long tenant's name and other parts.",
        "Shorten it with a hash: `${ident(tenant.name, 40)}`.",
    ),
    (codes::WRONG_SCOPE, "A tier lists a blueprint of the estate.", "Remove it from the tier, or change its `scope`."),
    (
        codes::NOT_ALLOWED_BY_TIER,
        "The quota or feature is misspelled, or no tier has it yet.",
        "Take the name that the message suggests, or add the quota or feature to a tier first.",
    ),
    (
        codes::RETENTION_OUT_OF_BOUNDS,
        "The tenant's `deletion.retentionDays` is below or above what the estate allows.",
        "Write a number in the bounds, or change `min_retention_days` and `max_retention_days` in the table [offboarding].",
    ),
    // 03: expressions
    (
        codes::EXPRESSION_SYNTAX,
        "A bracket or quotation mark is missing, or it is SQL without a function that quotes.",
        "See [expressions](../expressions.md).",
    ),
    (
        codes::EXPRESSION_FAILED,
        "A tenant lacks the field that the expression uses.",
        "Give the field a value, or test it with `has(…)`.",
    ),
    (
        codes::EXPRESSION_TYPE,
        "Numbers and texts are mixed, or a condition is no boolean.",
        "Convert with `int(…)`, `string(…)` or `json(…)`.",
    ),
    (
        codes::RESOURCE_SCHEMA,
        "A field of a spec is missing, misspelled or has another type.",
        "See the kind's page, or `tenantry schema KIND`.",
    ),
    (
        codes::DEFERRED_IN_EXPRESSION,
        "A secret, or an output of a resource that does not exist yet, is computed with.",
        "Use it as a whole value or a part of a text.",
    ),
    (
        codes::RESOURCE_ADVICE,
        "The spec works, but has a consequence that is rarely meant.",
        "Follow the message, or leave it.",
    ),
    (
        codes::EXPRESSION_BOUND,
        "Nested macros over long lists, or a very long text.",
        "Simplify it; see [limits](../expressions.md#limits).",
    ),
    (
        codes::DIFFERS_AT_EVERY_PLAN,
        "`now` is part of the value.",
        "Compare `now`, or use its day only; see [dates](../expressions.md#dates).",
    ),
    // 04: plans
    (
        codes::CONFLICT,
        "Somebody else created it, or another estate did.",
        "Choose another name, or take it over with `adopt: true`: see [adopting](../how-to/adopt.md).",
    ),
    (
        codes::COPIED_MARK,
        "A resource was cloned or restored from a backup under another name.",
        "Remove the mark from the copy.",
    ),
    (
        codes::UNKNOWN_STATE,
        "The target did not answer, or denied the question.",
        "`tenantry doctor` shows whether it answers. Nothing is created or deleted meanwhile.",
    ),
    (
        codes::DEPENDS_ON_BLOCKED,
        "The other resource is unknown, in conflict, or refused.",
        "Solve that; this one follows.",
    ),
    (
        codes::DATA_LOSS,
        "A tenant is deleted, a resource was removed, or a field changed that cannot change in place.",
        "If it is meant, add an Approval with `allow: [delete]`: see [offboarding](../how-to/offboard.md). If it is not, undo the edit.",
    ),
    (codes::PROTECTED, "The resource has `protect: true`.", "If it is meant, add an Approval with `allow: [delete]`."),
    (
        codes::TENANT_VANISHED,
        "A file was deleted or renamed, or lost in a merge.",
        "Restore the document; a tenant leaves by its [phases](../how-to/offboard.md).",
    ),
    (
        codes::MASS_CHANGE,
        "An edit of a tier or blueprint removes something from many tenants.",
        "If it is meant, add an Approval with `allow: [massDelete]`, or raise `limits.max_deletes`.",
    ),
    (codes::EMPTY_ESTATE, "Another folder or revision was read.", "Check `-C` and `--rev`."),
    (
        codes::PHASE_TRANSITION,
        "A phase was skipped, or a deleted tenant shall return.",
        "Go through the phases that the message lists; add a returning customer as a new tenant.",
    ),
    (codes::APPROVAL_EXPIRED, "Its last day has passed.", "Renew it if it is still meant, else remove it."),
    (
        codes::APPROVAL_UNUSED,
        "What it allowed is done, or its addresses match nothing.",
        "Remove it, or correct its addresses.",
    ),
    (
        codes::RECREATES_DATA,
        "Somebody renamed or deleted it outside Tenantry.",
        "Restore it, or rename it back, before you apply.",
    ),
    (
        codes::TARGET_CHANGED,
        "The tenant's placement, or the default target, is another one.",
        "Restore the earlier target. Tenantry does not move data between targets.",
    ),
    (
        codes::OWNERSHIP_UNKNOWN,
        "It is recorded, but what is there now has no mark or another one: somebody created it anew.",
        "Delete it by hand if nobody needs it.",
    ),
    (codes::NOT_READY, "It takes its time: a rollout, a certificate.", "Wait; the next plan says whether it is ready."),
    (codes::SCHEDULED, "The target makes the change on a later day, such as the end of a billing period.", "Nothing."),
    (
        codes::SECRET_LOST,
        "The secret store was lost, or another one is read.",
        "Restore the secret store; to generate a new secret, add an Approval with `allow: [rotateSecret]`.",
    ),
    (
        codes::UNRECORDED,
        "The store was lost, or another store is read.",
        "See [recovering a lost store](../how-to/recover-a-lost-store.md).",
    ),
    (codes::NOT_BILLED, "Something of the tenant is blocked, so its bill does not grow.", "Solve what is blocked."),
    (
        codes::OTHER_SYSTEM,
        "Another URL, key or account, or a restored database.",
        "Correct the settings, or accept it with `tenantry target accept TARGET`.",
    ),
    (
        codes::FINGERPRINT_UNTOLD,
        "The login may not ask which system it is.",
        "Grant it; see [which system it is](../connections.md#which-system-it-is).",
    ),
    (
        codes::REFUSED_BY_TARGET,
        "An admission webhook, a quota or a schema of the cluster refuses the object.",
        "Correct the resource in the blueprint, or what refuses it in the target.",
    ),
    (
        codes::TRIAL_ENDS,
        "The tenant's document says `trial`, and its trial ends within three days or is over.",
        "Write the phase that the tenant is to be in from then on; the tier's `onTrialEnd` says what happens until then.",
    ),
    (
        codes::RETAINED,
        "`phase: deleted` was written before the retention of the data was over.",
        "Leave the tenant in the phase `deleting` until the date that the message names. No Approval shortens it.",
    ),
    (
        codes::LEGAL_HOLD,
        "The tenant's document has a `legalHold` that is in force.",
        "Remove it from the document once the hold has ended. No Approval lifts it.",
    ),
    (
        codes::NAME_REUSED,
        "A document has the name of a tenant that was deleted: the old one came back, or another customer has the name.",
        "Give another customer another name, or write `reuseName: true` into its spec. What was deleted does not come back.",
    ),
    (
        codes::POLICY_DENIED,
        "A rule of a policy with the enforcement `deny` is false.",
        "Change what the message names. `tenantry policy list` shows the rules, and the help names the rule's line.",
    ),
    (
        codes::POLICY_WARNED,
        "A rule of a policy with the enforcement `warn` is false.",
        "Look whether it is meant. A warning stops nothing.",
    ),
    (
        codes::POLICY_NEEDS_APPROVAL,
        "A rule of a policy with the enforcement `approval` is false.",
        "Add an Approval with `allow: [policy]` in one of the files that the policy names.",
    ),
    (
        codes::POLICY_FAILED,
        "The rule uses a value that is missing, has another type, or is only known after apply.",
        "Correct the rule, for example with `has(…)` or `when`, and add a test for this case.",
    ),
    (
        codes::APPROVAL_UNCOMMITTED,
        "The Approval is in a file that is new, changed or ignored in the work tree.",
        "Commit it, so that it goes through the same review as everything else.",
    ),
    (
        codes::APPROVAL_OF_OTHER_FILE,
        "The policy counts only Approvals in certain files, whose owners decide.",
        "Ask the owners of these files for the Approval.",
    ),
    // 05: import
    (
        codes::IMPORT_LEFT_OUT,
        "A Secret with values, an object of the whole cluster, or one that another tenant has too.",
        "Add it by hand if it is needed.",
    ),
    (codes::IMPORT_CHANGED, "The object names no namespace, or a value is ambiguous.", "Check it in the new estate."),
    (codes::IMPORT_NOT_NEEDED, "A controller, the cluster or another estate makes it.", "Nothing."),
    (
        codes::IMPORT_UNREAD,
        "The user may not list the type, or its server is down.",
        "Grant what the message names, and import again.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_text_and_rules_have_their_own() {
        assert_eq!(crate::reference::codes::gaps(), []);
        for (index, (code, cause, remedy)) in TEXTS.iter().enumerate() {
            assert!(cause.ends_with('.') && remedy.ends_with('.'), "{code}");
            assert!(TEXTS[..index].iter().all(|(other, ..)| other < code), "{code} is not in order");
            assert!(codes::of_rules().all(|(rule, _)| rule != *code), "{code} is a rule");
        }
    }
}
