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

/// Codes of findings whose place has a secret: the line is not shown.
pub const WITH_SECRET: [Code; 2] = [SECRET_IN_DOCUMENT, SECRET_READABLE];

/// The code and meaning of every rule, in order.
pub fn of_rules() -> impl Iterator<Item = (Code, &'static str)> {
    ALL.iter().filter(|(code, _)| code.0.starts_with("TY06")).copied()
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
    EDIT_REFUSED = "TY0114", "A document cannot be edited in the way that was asked for.";
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
    RETENTION_OUT_OF_BOUNDS = "TY0213", "The retention of a tenant that leaves is out of the bounds of the estate.";
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
    REFUSED_BY_TARGET = "TY0423", "A target would refuse a change: it was asked in a dry run.";
    TRIAL_ENDS = "TY0430", "The trial of a tenant ends soon, or has ended.";
    RETAINED = "TY0431", "Data of a tenant that leaves would be deleted before it was kept long enough.";
    LEGAL_HOLD = "TY0432", "Data of a tenant that is under a legal hold would be deleted.";
    NAME_REUSED = "TY0433", "A tenant has the name of one that was deleted.";
    POLICY_DENIED = "TY0440", "A policy refuses something that the plan does or asks for.";
    POLICY_WARNED = "TY0441", "A policy warns of something that the plan does or asks for.";
    POLICY_NEEDS_APPROVAL = "TY0442", "A policy refuses something without an Approval, and no Approval allows it.";
    POLICY_FAILED = "TY0443", "A rule of a policy cannot be computed.";
    APPROVAL_UNCOMMITTED = "TY0444", "An Approval does not count, because it is not committed.";
    APPROVAL_OF_OTHER_FILE = "TY0445", "An Approval does not count, because the policy asks for one in another file.";
    // 05: import
    IMPORT_LEFT_OUT = "TY0501", "An object was left out of the import.";
    IMPORT_CHANGED = "TY0502", "An object was imported in another form than it was written in.";
    IMPORT_NOT_NEEDED = "TY0503", "An object was not imported, because the cluster, a controller or another estate manages it.";
    IMPORT_UNREAD = "TY0504", "Objects could not be read, so the new estate may lack them.";
    // 06: rules, for what is well formed and probably wrong. Each has a level in the table [rules] of `tenantry.toml`.
    // 060, 061: documents
    RANK_AND_QUOTA = "TY0601", "A tier of a higher rank has a lower quota than one of a lower rank.";
    FEATURE_OF_OTHER_TIER = "TY0602", "A tenant has a feature that its own tier does not have.";
    ESTIMATE_ABOVE_QUOTA = "TY0603", "A tenant expects more than its quota allows.";
    SHARED_VALUE = "TY0604", "Two tenants have the same value where each needs its own.";
    OTHER_RESIDENCY = "TY0605", "A tenant is placed in another region than the one that it names.";
    NOT_AN_ADDRESS = "TY0606", "The e-mail address of a contact is not an e-mail address.";
    SECRET_IN_DOCUMENT = "TY0607", "A document contains a secret in the clear.";
    NUMBER_FOR_UNLIMITED = "TY0608", "A number stands where no limit is meant.";
    NOT_A_DATE = "TY0609", "A value that is called a date is not a date of ISO 8601.";
    RETENTION_OUT_OF_RANGE = "TY0610", "The retention of deleted data is shorter or longer than is usual.";
    BILLED_BEFORE = "TY0611", "A resource waits for a bill, so the tenant is billed before it has the resource.";
    AMOUNT_IN_CENTS = "TY0612", "A price is probably written in cents.";
    UNKNOWN_REGION = "TY0613", "The label `region` of a tenant names a region that is not known.";
    APPROVAL_OUTDATED = "TY0618", "An Approval has expired and is still there.";
    APPROVAL_OF_NOTHING = "TY0619", "An Approval names something that does not exist.";
    // 062, 063, 064: Kubernetes
    PEER_NOT_OUTSIDE = "TY0620", "A NetworkPolicy allows pods of the cluster where the world outside is meant.";
    PEER_NEVER_MATCHES = "TY0621", "A NetworkPolicy selects namespaces by a label that they do not have.";
    DNS_OVER_ONE_PROTOCOL = "TY0622", "A NetworkPolicy allows DNS over UDP or TCP only.";
    SERVICE_WITHOUT_PODS = "TY0623", "A Service selects no pod of the tenant.";
    PORT_WITHOUT_CONTAINER = "TY0624", "A Service leads to a port that no container has.";
    MONITOR_WITHOUT_SERVICE = "TY0625", "A ServiceMonitor or PodMonitor selects nothing, or a port that nothing has.";
    OBJECT_NOT_MADE = "TY0626", "A pod refers to a Secret or ConfigMap that nothing makes.";
    KEY_NOT_MADE = "TY0627", "A pod refers to a key that a Secret or ConfigMap does not have.";
    SECRET_MADE_TWICE = "TY0628", "Two resources make one Secret.";
    REQUEST_ABOVE_LIMIT = "TY0629", "A container requests more than its limit.";
    CLAIM_OUTSIDE_LIMITS = "TY0630", "A claim is larger or smaller than a LimitRange allows.";
    IMAGE_NOT_FIXED = "TY0631", "An image has no fixed version.";
    SCALED_TWICE = "TY0632", "A workload has a number of replicas and an autoscaler.";
    SECRET_READABLE = "TY0633", "A secret is written where everybody who may read the workload can read it.";
    BACKEND_NOT_MADE = "TY0634", "An Ingress leads to a Service or port that does not exist.";
    HOST_TAKEN_TWICE = "TY0635", "Two tenants claim the same host and path.";
    // 065: databases
    USER_NAME_TOO_LONG_FOR_MYSQL = "TY0650", "The name of a MySQL user is longer than MySQL takes.";
    POLICY_NOT_FORCED = "TY0651", "A row security policy does not apply to the owner of the table.";
    POLICY_NOT_ENABLED = "TY0652", "A row security policy has no effect, because row security is not enabled.";
    POLICY_WITHOUT_CONDITION = "TY0653", "A row security policy allows every row.";
    SETTING_MUST_EXIST = "TY0654", "A row security policy fails while its setting is unset.";
    NAME_NEEDS_QUOTES = "TY0655", "SQL uses a name without the quotation marks that it needs.";
    PRIVILEGES_OF_MIGRATION = "TY0656", "A user may create and alter tables, but lacks a privilege that migrations need.";
    USER_NAME_TOO_LONG_FOR_SERVER = "TY0657", "The name of a user is longer than the server of its target takes.";
    // 067: object storage
    POLICY_OF_OTHER_BUCKET = "TY0670", "The policy of a bucket names another bucket.";
    ACTION_WITHOUT_EFFECT = "TY0671", "A policy allows an action on a resource that it does not apply to.";
    ANY_ACCOUNT = "TY0672", "A policy names a user or role of any account.";
    // 068: billing
    PRICE_NOT_MADE = "TY0680", "A subscription names a price that nothing makes.";
    INTERVALS_DIFFER = "TY0681", "A subscription has prices with different intervals.";
    PRICE_IN_CENTS = "TY0682", "The amount of a price of Stripe is probably written in cents.";
    FEATURE_NOT_MADE = "TY0683", "A product of Stripe names a feature that nothing makes.";
    // 069: others
    OTHER_API = "TY0690", "A resource has the form of another API.";
    COUNTER_OVERWRITTEN = "TY0691", "A value that the product counts is written at every apply.";
    IMAGE_OF_SERVICE_NOT_FIXED = "TY0692", "The image of a service of a REST API has no fixed version.";
    PREFIX_OF_OTHERS = "TY0693", "A prefix holds what belongs to somebody else.";
}
