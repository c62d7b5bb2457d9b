//! What is known of the API server's own types: scope, form of names, fields that cannot change, what deleting destroys.
//!
//! Sources: validation of updates in `k8s.io/kubernetes` (`pkg/apis/*/validation`, functions `Validate…Update`) and the
//! API reference. A field that is missing here is not a danger: the server refuses the change in its own words, and
//! only a replacement has to be asked for by another name.
//!
//! Of custom resources only those are here whose operator passes over a change that the server takes: then an update would
//! be told as done, and nothing would have happened.

use std::borrow::Cow;

use super::object::{Type, at};
use tenantry_core::model::value::{Map, Value};

/// Whether objects of a type live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// The form that the server asks of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// RFC 1123 label: 63 characters, lower case, digits, hyphens.
    Label,
    /// RFC 1035 label: as above, beginning with a letter.
    Label1035,
    /// RFC 1123 subdomain of at most so many characters: labels joined by dots.
    Subdomain(usize),
    /// Anything that can stand in a path: no `/`, no `%`.
    PathSegment,
}

/// One type.
pub struct Sort {
    pub group: &'static str,
    pub kind: &'static str,
    pub scope: Scope,
    pub names: NameForm,
    pub immutable: &'static [&'static str],
    pub loses_data: bool,
}

const SUBDOMAIN: NameForm = NameForm::Subdomain(253);

const fn sort(group: &'static str, kind: &'static str, scope: Scope, immutable: &'static [&'static str]) -> Sort {
    Sort { group, kind, scope, names: SUBDOMAIN, immutable, loses_data: false }
}

const fn namespaced(group: &'static str, kind: &'static str, immutable: &'static [&'static str]) -> Sort {
    sort(group, kind, Scope::Namespaced, immutable)
}

const fn cluster(group: &'static str, kind: &'static str, immutable: &'static [&'static str]) -> Sort {
    sort(group, kind, Scope::Cluster, immutable)
}

impl Sort {
    const fn names(mut self, form: NameForm) -> Self {
        self.names = form;
        self
    }

    const fn loses_data(mut self) -> Self {
        self.loses_data = true;
        self
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

const SORTS: &[Sort] = &[
    // ValidateNamespaceUpdate; names are labels of DNS.
    cluster("", "Namespace", &[]).names(NameForm::Label).loses_data(),
    cluster("", "Node", &["/spec/podCIDR", "/spec/podCIDRs", "/spec/providerID"]),
    // ValidatePersistentVolumeUpdate: "spec.persistentvolumesource is immutable after creation".
    cluster(
        "",
        "PersistentVolume",
        &[
            "/spec/awsElasticBlockStore",
            "/spec/azureDisk",
            "/spec/azureFile",
            "/spec/cephfs",
            "/spec/cinder",
            "/spec/csi",
            "/spec/fc",
            "/spec/flexVolume",
            "/spec/gcePersistentDisk",
            "/spec/hostPath",
            "/spec/iscsi",
            "/spec/local",
            "/spec/nfs",
            "/spec/rbd",
            "/spec/volumeMode",
            "/spec/vsphereVolume",
        ],
    )
    .loses_data(),
    // ValidatePersistentVolumeClaimUpdate: "spec is immutable after creation except resources.requests".
    namespaced(
        "",
        "PersistentVolumeClaim",
        &[
            "/spec/accessModes",
            "/spec/dataSource",
            "/spec/dataSourceRef",
            "/spec/resources/limits",
            "/spec/selector",
            "/spec/storageClassName",
            "/spec/volumeMode",
            "/spec/volumeName",
        ],
    )
    .loses_data(),
    // ValidatePodUpdate: only images, deadlines, tolerations and the grace period may change.
    namespaced(
        "",
        "Pod",
        &[
            "/spec/affinity",
            "/spec/hostNetwork",
            "/spec/nodeName",
            "/spec/nodeSelector",
            "/spec/restartPolicy",
            "/spec/securityContext",
            "/spec/serviceAccountName",
            "/spec/volumes",
        ],
    ),
    namespaced("", "PodTemplate", &[]),
    namespaced("", "ReplicationController", &[]),
    // ValidateServiceUpdate.
    namespaced("", "Service", &["/spec/clusterIP"]).names(NameForm::Label1035),
    namespaced("", "ConfigMap", &[]),
    // ValidateSecretUpdate: the type; the rest below.
    namespaced("", "Secret", &["/type"]),
    namespaced("", "ServiceAccount", &[]),
    // ValidateResourceQuotaUpdate: "ensure scopes cannot change".
    namespaced("", "ResourceQuota", &["/spec/scopeSelector", "/spec/scopes"]),
    namespaced("", "LimitRange", &[]),
    namespaced("", "Endpoints", &[]),
    namespaced("", "Event", &[]),
    // apps: ValidateDeploymentUpdate, ValidateDaemonSetUpdate, ValidateReplicaSetUpdate: the selector.
    namespaced("apps", "Deployment", &["/spec/selector"]),
    namespaced("apps", "DaemonSet", &["/spec/selector"]),
    namespaced("apps", "ReplicaSet", &["/spec/selector"]),
    // ValidateStatefulSetUpdate: "updates to statefulset spec for fields other than 'replicas', 'template', … are forbidden".
    namespaced(
        "apps",
        "StatefulSet",
        &["/spec/podManagementPolicy", "/spec/selector", "/spec/serviceName", "/spec/volumeClaimTemplates"],
    )
    .loses_data(),
    namespaced("apps", "ControllerRevision", &["/data"]),
    // ValidateJobSpecUpdate. The name becomes a label of its pods.
    namespaced(
        "batch",
        "Job",
        &[
            "/spec/backoffLimitPerIndex",
            "/spec/completionMode",
            "/spec/completions",
            "/spec/managedBy",
            "/spec/podFailurePolicy",
            "/spec/podReplacementPolicy",
            "/spec/selector",
            "/spec/successPolicy",
            "/spec/template",
        ],
    )
    .names(NameForm::Subdomain(63)),
    // ValidateCronJob: "must be no more than 52 characters", because a Job's name has eleven more.
    namespaced("batch", "CronJob", &[]).names(NameForm::Subdomain(52)),
    namespaced("autoscaling", "HorizontalPodAutoscaler", &[]),
    namespaced("policy", "PodDisruptionBudget", &[]),
    cluster("policy", "PodSecurityPolicy", &[]),
    namespaced("networking.k8s.io", "Ingress", &[]),
    namespaced("networking.k8s.io", "NetworkPolicy", &[]),
    // ValidateIngressClassUpdate.
    cluster("networking.k8s.io", "IngressClass", &["/spec/controller"]),
    // ValidateRoleBindingUpdate: "cannot change roleRef".
    namespaced(RBAC, "Role", &[]).names(NameForm::PathSegment),
    namespaced(RBAC, "RoleBinding", &["/roleRef"]).names(NameForm::PathSegment),
    cluster(RBAC, "ClusterRole", &[]).names(NameForm::PathSegment),
    cluster(RBAC, "ClusterRoleBinding", &["/roleRef"]).names(NameForm::PathSegment),
    // ValidateStorageClassUpdate.
    cluster(STORAGE, "StorageClass", &["/parameters", "/provisioner", "/reclaimPolicy", "/volumeBindingMode"]),
    // ValidateCSIDriverUpdate.
    cluster(STORAGE, "CSIDriver", &["/spec/attachRequired", "/spec/volumeLifecycleModes"]),
    cluster(STORAGE, "CSINode", &[]),
    cluster(STORAGE, "VolumeAttachment", &["/spec"]),
    namespaced(STORAGE, "CSIStorageCapacity", &["/nodeTopology", "/storageClassName"]),
    namespaced("snapshot.storage.k8s.io", "VolumeSnapshot", &["/spec/source"]).loses_data(),
    cluster("snapshot.storage.k8s.io", "VolumeSnapshotContent", &["/spec/source"]).loses_data(),
    cluster("snapshot.storage.k8s.io", "VolumeSnapshotClass", &[]),
    // ValidateCustomResourceDefinitionUpdate, once established. Its objects go with it.
    cluster(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["/spec/group", "/spec/names/kind", "/spec/names/plural", "/spec/scope"],
    )
    .loses_data(),
    cluster("apiregistration.k8s.io", "APIService", &["/spec/group", "/spec/version"]).names(NameForm::PathSegment),
    cluster(ADMISSION, "MutatingWebhookConfiguration", &[]),
    cluster(ADMISSION, "ValidatingWebhookConfiguration", &[]),
    cluster(ADMISSION, "ValidatingAdmissionPolicy", &[]),
    cluster(ADMISSION, "ValidatingAdmissionPolicyBinding", &[]),
    // ValidatePriorityClassUpdate.
    cluster("scheduling.k8s.io", "PriorityClass", &["/preemptionPolicy", "/value"]),
    // ValidateRuntimeClassUpdate.
    cluster("node.k8s.io", "RuntimeClass", &["/handler"]),
    namespaced("coordination.k8s.io", "Lease", &[]),
    // ValidateEndpointSliceUpdate.
    namespaced("discovery.k8s.io", "EndpointSlice", &["/addressType"]),
    namespaced("events.k8s.io", "Event", &[]),
    cluster("flowcontrol.apiserver.k8s.io", "FlowSchema", &[]),
    cluster("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", &[]),
    cluster("certificates.k8s.io", "CertificateSigningRequest", &["/spec"]),
    // MySQL Operator makes a StatefulSet of the claim's template once, and looks at it no more (`spec_tld_handlers`). Longer
    // names it calls invalid (`MAX_CLUSTER_NAME_LEN`).
    namespaced("mysql.oracle.com", "InnoDBCluster", &["/spec/datadirVolumeClaimTemplate"])
        .names(NameForm::Subdomain(28))
        .loses_data(),
];

/// What is known of a type; `None` for most custom resources.
pub fn of(object: Type<'_>) -> Option<&'static Sort> {
    SORTS.iter().find(|sort| object.is(sort.group, sort.kind))
}

/// Pointers of fields that cannot change while an object lives.
pub fn immutable(spec: &Map) -> Vec<Cow<'static, str>> {
    let Some(sort) = Type::of(spec).and_then(of) else { return Vec::new() };
    let mut pointers: Vec<Cow<'static, str>> = sort.immutable.iter().map(|pointer| Cow::Borrowed(*pointer)).collect();
    // ValidateSecretUpdate, ValidateConfigMapUpdate: "field is immutable when `immutable` is set".
    if sort.group.is_empty() && matches!(sort.kind, "Secret" | "ConfigMap") {
        let fixed: &[&str] = match spec.get("immutable") {
            Some(Value::Bool(true)) => &["/binaryData", "/data", "/stringData"],
            // It is set while the object lives, and never taken back.
            _ => &["/immutable"],
        };
        pointers.extend(fixed.iter().copied().map(Cow::Borrowed));
    }
    pointers
}

/// Pointers of fields that are masked wherever they are shown.
///
/// The annotation of `kubectl apply` holds the whole object again, its data in the clear.
pub fn sensitive(spec: &Map) -> Vec<Cow<'static, str>> {
    if Type::of(spec).is_some_and(|object| object.is("", "Secret")) {
        let annotation = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
        return ["/data", "/stringData", annotation].map(Cow::Borrowed).into();
    }
    Vec::new()
}

/// Whether deleting an object destroys what cannot be made again. Of a custom resource it cannot be told what its
/// controller keeps for it (a database, a bucket), so that it counts as one that does.
pub fn loses_data(spec: &Map) -> bool {
    let Some(object) = Type::of(spec) else { return true };
    match of(object) {
        Some(sort) => sort.loses_data,
        None => object.is_custom(),
    }
}

/// Whether an object lives in a namespace: as its type says, or else as the object itself does.
pub fn is_namespaced(spec: &Map) -> bool {
    match Type::of(spec).and_then(of) {
        Some(sort) => sort.scope == Scope::Namespaced,
        None => at(spec, &["metadata", "namespace"]).is_some_and(|namespace| !namespace.is_null()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    #[test]
    fn types_are_known_once() {
        for (at, sort) in SORTS.iter().enumerate() {
            let known = SORTS.iter().position(|other| other.group == sort.group && other.kind == sort.kind);
            assert_eq!(known, Some(at), "{}", sort.kind);
            assert!(sort.immutable.is_sorted(), "{}", sort.kind);
        }
    }

    #[test]
    fn an_immutable_secret_keeps_its_data() {
        let open = spec(serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}));
        assert_eq!(immutable(&open), ["/type", "/immutable"]);
        assert_eq!(immutable(&open.with("immutable", true.into())), ["/type", "/binaryData", "/data", "/stringData"]);
    }

    #[test]
    fn what_holds_data_says_so() {
        for (api_version, kind, loses) in [
            ("v1", "Namespace", true),
            ("v1", "PersistentVolumeClaim", true),
            ("v1", "ConfigMap", false),
            ("apps/v1", "StatefulSet", true),
            ("apps/v1", "Deployment", false),
            ("mysql.oracle.com/v2", "InnoDBCluster", true),
            ("metrics.k8s.io/v1beta1", "NodeMetrics", false),
        ] {
            let object = spec(serde_json::json!({"apiVersion": api_version, "kind": kind}));
            assert_eq!(loses_data(&object), loses, "{kind}");
        }
        assert!(loses_data(&Map::default()), "of what is not known yet the worst is assumed");
    }

    #[test]
    fn what_an_operator_passes_over_cannot_change() {
        let cluster = spec(serde_json::json!({"apiVersion": "mysql.oracle.com/v2", "kind": "InnoDBCluster"}));
        assert_eq!(immutable(&cluster), ["/spec/datadirVolumeClaimTemplate"]);
        let set = spec(serde_json::json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet"}));
        assert_eq!(immutable(&set), [""; 0]);
        assert!(loses_data(&set), "what it deploys goes with it");
    }
}
