//! Whether the name of a container's image fixes its version, for the rules of several providers.

/// What an image's name says of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// A tag that names one version, or a digest.
    Fixed,
    Latest,
    /// Which means `latest`.
    Missing,
}

/// What fixes the version of an image (<https://pkg.go.dev/github.com/distribution/reference>).
pub fn tag(image: &str) -> Tag {
    if image.is_empty() || image.contains('@') {
        return Tag::Fixed;
    }
    // A colon before the last slash is a port.
    match image.rsplit('/').next().and_then(|name| name.split_once(':')) {
        None => Tag::Missing,
        Some((_, "latest")) => Tag::Latest,
        Some(_) => Tag::Fixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_a_tag() {
        for (image, expected) in [
            ("web:1.2", Tag::Fixed),
            ("web", Tag::Missing),
            ("web:latest", Tag::Latest),
            ("registry:5000/web", Tag::Missing),
            ("registry:5000/web:latest", Tag::Latest),
            ("registry:5000/web:1", Tag::Fixed),
            ("web@sha256:0123", Tag::Fixed),
        ] {
            assert_eq!(tag(image), expected, "{image}");
        }
    }
}
