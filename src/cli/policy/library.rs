//! The policies that ship with Tenantry, each with its tests.

/// By name, in order.
pub const ALL: &[(&str, &str)] = &[
    ("blast-radius", include_str!("library/blast-radius.yaml")),
    ("deletion-windows", include_str!("library/deletion-windows.yaml")),
    ("features-of-tier", include_str!("library/features-of-tier.yaml")),
    ("no-literal-secrets", include_str!("library/no-literal-secrets.yaml")),
    ("no-public-bucket", include_str!("library/no-public-bucket.yaml")),
    ("quota-increase", include_str!("library/quota-increase.yaml")),
    ("reserved-subdomains", include_str!("library/reserved-subdomains.yaml")),
    ("residency", include_str!("library/residency.yaml")),
    ("row-security-forced", include_str!("library/row-security-forced.yaml")),
    ("suspension-reason", include_str!("library/suspension-reason.yaml")),
    ("unique-domains", include_str!("library/unique-domains.yaml")),
];
