//! The table of codes. A code never gets another meaning; a code that is no longer used stays as a gap.

/// A stable code, such as `TY0102`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Code(pub &'static str);

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0)
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code($code);)*

        /// Every code with its meaning, in order.
        pub const ALL: &[(Code, &str)] = &[$(($name, $meaning),)*];
    };
}

codes! {
    // 00: files
    FILE_UNREADABLE = "TY0001", "A file or revision of the estate cannot be read.";
    FILE_TOO_LARGE = "TY0002", "A file, or the number of files, is larger than the limit.";
    FILE_NOT_UTF8 = "TY0003", "A file is not UTF-8.";
    FILE_SYMLINK_ESCAPES = "TY0004", "A symbolic link leads out of the estate.";
    FILE_CONTROL_CHARACTER = "TY0005", "A file holds a NUL or another control character.";
    ESTATE_MISSING = "TY0006", "There is no `tenantry.toml` where the estate should be.";
    CONFIG_INVALID = "TY0007", "`tenantry.toml` does not have the form that it should have.";
    INLINE_SECRET = "TY0008", "The configuration contains a secret in the clear.";
    FILE_SUBSTITUTED = "TY0009", "A file does not have its real content: it is a Git LFS pointer, is encrypted, or has unresolved merge conflicts.";
    FILE_EMPTY = "TY0010", "A file of documents is empty.";
    NOT_CHECKED_OUT = "TY0011", "A Git submodule or a file of the estate is not checked out.";
    REVISION_UNKNOWN = "TY0012", "The Git revision of the estate is not known.";
    // 01: documents
    YAML_SYNTAX = "TY0101", "A file is not valid YAML, or uses a part of YAML that documents do not have.";
    SCHEMA = "TY0102", "A document does not have the form that its kind requires.";
    UNKNOWN_FIELD = "TY0103", "A field is not known.";
    DUPLICATE_KEY = "TY0104", "A mapping has one key twice.";
    AMBIGUOUS_SCALAR = "TY0105", "A plain scalar could be meant as another value than the one that is read.";
    ALIAS_BOMB = "TY0106", "Aliases expand to more values than the limit.";
    UNKNOWN_KIND = "TY0107", "The kind or version of a document is not known.";
    INVALID_NAME = "TY0108", "A name is not a DNS label.";
    DUPLICATE_NAME = "TY0109", "Two documents of one kind have the same name.";
    INVALID_QUANTITY = "TY0110", "A quota is not an integer, a quantity or `unlimited`.";
    VALUES_SCHEMA = "TY0111", "A tenant's values do not follow the estate's own schema, or that schema is not valid.";
    NESTED_TOO_DEEPLY = "TY0112", "A document is nested more deeply than the limit.";
    TOO_MANY_PROBLEMS = "TY0113", "A file has more problems than are shown.";
    // 02: references between documents
    UNKNOWN_TIER = "TY0201", "A tenant names a tier that does not exist.";
    UNKNOWN_BLUEPRINT = "TY0202", "A tier or the estate names a blueprint that does not exist.";
    UNKNOWN_TARGET = "TY0203", "A placement or a resource names a target that does not exist.";
    AMBIGUOUS_TARGET = "TY0204", "Several targets are possible and none is chosen.";
    UNKNOWN_RESOURCE_KIND = "TY0205", "A blueprint asks for a kind of resource that no provider has.";
    DUPLICATE_RESOURCE_ID = "TY0206", "Two resources of one owner have the same id.";
    UNKNOWN_RESOURCE = "TY0207", "An expression or `dependsOn` names a resource that does not exist.";
    CIRCULAR_REFERENCE = "TY0208", "Resources depend on each other in a circle.";
    DUPLICATE_IDENTITY = "TY0209", "Two resources would be the same thing in one target.";
    NAME_TOO_LONG = "TY0210", "A name is longer than its target takes.";
    WRONG_SCOPE = "TY0211", "A blueprint is used for another scope than its own.";
    NOT_ALLOWED_BY_TIER = "TY0212", "A quota or feature is unknown to every tier.";
    // 03: expressions
    EXPRESSION_SYNTAX = "TY0301", "An expression does not parse.";
    EXPRESSION_FAILED = "TY0302", "An expression cannot be computed.";
    EXPRESSION_TYPE = "TY0303", "An expression yields another type than is needed.";
    RESOURCE_SCHEMA = "TY0304", "A resource's spec does not have the form that its kind requires.";
    RESOURCE_ADVICE = "TY0306", "A resource's spec is allowed, but probably not what is meant.";
    DEFERRED_IN_EXPRESSION = "TY0305", "A value that is not known yet is used where it is needed at once.";
    EXPRESSION_BOUND = "TY0307", "An expression is larger, or takes more steps or memory, than the limit.";
    DIFFERS_AT_EVERY_PLAN = "TY0308", "A field is computed from the time of the run, so every plan would change it.";
    // 04: findings of a plan
    CONFLICT = "TY0401", "A resource with the desired identity exists and does not belong to this estate.";
    COPIED_MARK = "TY0402", "A resource carries the mark of another resource.";
    UNKNOWN_STATE = "TY0403", "It is not known whether a resource exists.";
    DEPENDS_ON_BLOCKED = "TY0404", "A resource needs another one that is blocked.";
    DATA_LOSS = "TY0405", "A change would destroy data and no Approval allows it.";
    PROTECTED = "TY0406", "A change would delete a protected resource and no Approval allows it.";
    TENANT_VANISHED = "TY0407", "A tenant's document is gone, but the tenant was never offboarded.";
    MASS_CHANGE = "TY0408", "A plan would delete more than the limit and no Approval allows it.";
    EMPTY_ESTATE = "TY0409", "The estate has no tenants, but some were applied.";
    PHASE_TRANSITION = "TY0410", "A phase does not follow from the phase that was applied.";
    APPROVAL_EXPIRED = "TY0411", "An Approval has expired.";
    APPROVAL_UNUSED = "TY0412", "An Approval allows nothing that the plan does.";
    RECREATES_DATA = "TY0413", "A data-bearing resource disappeared and would come back empty.";
    TARGET_CHANGED = "TY0414", "A resource would move to another target.";
    OWNERSHIP_UNKNOWN = "TY0415", "A resource would be deleted, but nothing shows that it belongs to this estate.";
    NOT_READY = "TY0416", "A resource is as desired, but not ready yet.";
    SCHEDULED = "TY0417", "A resource will be as desired on a later day, without another change.";
    SECRET_LOST = "TY0418", "A secret that a resource was written with is not in the secret store.";
    UNRECORDED = "TY0419", "A resource carries the mark of this estate, but the store has no record of it.";
    NOT_BILLED = "TY0420", "A tenant is not billed while one of its resources is blocked.";
    OTHER_SYSTEM = "TY0421", "A target is another system than the one that was accepted.";
    FINGERPRINT_UNTOLD = "TY0422", "A target does not reveal which system it is.";
    // 05: import
    IMPORT_LEFT_OUT = "TY0501", "An object was left out of the import.";
    IMPORT_CHANGED = "TY0502", "An object was imported in another form than it was written in.";
    IMPORT_NOT_NEEDED = "TY0503", "An object was not imported, because the cluster, a controller or another estate manages it.";
    IMPORT_UNREAD = "TY0504", "Objects could not be read, so the new estate may lack them.";
}
