//! What tools put into a file in the place of its content: pointers, encrypted bytes, conflict markers.
//!
//! Each would otherwise show as some error of YAML that names neither the cause nor the remedy, and a conflict between
//! quotation marks or brackets would even be read as part of a text.

use std::ops::Range;

use super::listing::Problem;
use tenantry_core::diagnostics::codes;

/// A file of another sort, known by its first bytes.
struct Substitute {
    beginning: &'static [u8],
    message: &'static str,
    label: &'static str,
    help: &'static str,
}

/// Sources: the specification of Git LFS (`docs/spec.md`), git-crypt's `crypto.hpp`, OpenSSL's `enc` (as transcrypt stores
/// it), Ansible's vault format 1.x, age's C2SP specification, and RFC 9580 (section 6.2).
const SUBSTITUTES: [Substitute; 8] = [
    Substitute {
        beginning: LFS,
        message: "the file is a Git LFS pointer, not the content",
        label: "a Git LFS pointer",
        help: LFS_HELP,
    },
    Substitute {
        beginning: b"version https://hawser.github.com/spec/",
        message: "the file is a Git LFS pointer, not the content",
        label: "a Git LFS pointer",
        help: LFS_HELP,
    },
    Substitute {
        beginning: b"\0GITCRYPT\0",
        message: "the file is encrypted with git-crypt",
        label: "encrypted from here on",
        help: "decrypt the checkout with `git-crypt unlock`; a revision (`--rev`) always holds the encrypted file",
    },
    Substitute {
        beginning: b"U2FsdGVkX1",
        message: "the file is encrypted with transcrypt or OpenSSL",
        label: "encrypted from here on",
        help: "decrypt the checkout (`transcrypt -c CIPHER -p PASSWORD`); a revision (`--rev`) always holds the encrypted file",
    },
    Substitute {
        beginning: b"$ANSIBLE_VAULT;",
        message: "the file is encrypted with Ansible Vault",
        label: "encrypted from here on",
        help: DECRYPT_HELP,
    },
    Substitute {
        beginning: b"age-encryption.org/v1",
        message: "the file is encrypted with age",
        label: "encrypted from here on",
        help: DECRYPT_HELP,
    },
    Substitute {
        beginning: b"-----BEGIN AGE ENCRYPTED FILE-----",
        message: "the file is encrypted with age",
        label: "encrypted from here on",
        help: DECRYPT_HELP,
    },
    Substitute {
        beginning: b"-----BEGIN PGP MESSAGE-----",
        message: "the file is encrypted with OpenPGP",
        label: "encrypted from here on",
        help: DECRYPT_HELP,
    },
];

const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

const LFS_HELP: &str = "fetch the content with `git lfs pull` (in CI, check out with LFS); a revision (`--rev`) has only the pointer, so remove the file from LFS (`git lfs untrack`) to plan revisions";

const DECRYPT_HELP: &str = "decrypt the file before Tenantry reads it; keep secrets in the secret store, and refer to them in a blueprint as `${secret('name')}`";

/// The lines that Git writes around the sides of a conflict (gitattributes, `conflict-marker-size`: seven by default).
const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// What a file is, if it is of another sort, and which of its bytes say so.
pub fn of_another_sort(bytes: &[u8]) -> Option<(Problem, Range<usize>)> {
    let is_one = |substitute: &&Substitute| bytes.starts_with(substitute.beginning);
    let Substitute { beginning, message, label, help } = SUBSTITUTES.iter().find(is_one)?;
    Some((Problem::new(codes::FILE_SUBSTITUTED, *message, *label, *help), 0..beginning.len()))
}

/// The first conflict marker. A mapping has nothing at the beginning of a line that looks like one, not even within a text
/// of several lines, for that is indented.
pub fn conflict(text: &str) -> Option<(Problem, Range<usize>)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let text = line.trim_end();
        let is_marker =
            |marker: &&str| text.strip_prefix(*marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        if MARKERS.iter().any(is_marker) {
            let problem = Problem::new(
                codes::FILE_SUBSTITUTED,
                "the file has an unresolved merge conflict",
                "a conflict marker",
                "keep one of the sides, remove the lines with the markers, and `git add` the file",
            );
            return Some((problem, start..start + text.len()));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_another_sort_are_called_by_name() {
        let sort = |bytes: &[u8]| of_another_sort(bytes).map(|(problem, range)| (problem.message, range));
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        assert_eq!(sort(lfs), Some(("the file is a Git LFS pointer, not the content".to_owned(), 0..LFS.len())));
        assert_eq!(sort(b"\0GITCRYPT\0\xff\xfe\x80"), Some(("the file is encrypted with git-crypt".to_owned(), 0..10)));
        assert_eq!(
            sort(b"$ANSIBLE_VAULT;1.1;AES256\n6162"),
            Some(("the file is encrypted with Ansible Vault".to_owned(), 0..15))
        );
        assert_eq!(sort(b"# version https://git-lfs.github.com/spec/v1\n"), None);
        assert_eq!(sort(b""), None);
    }

    fn marker(text: &str) -> Option<&str> {
        conflict(text).map(|(_, range)| &text[range])
    }

    #[test]
    fn every_conflict_marker_is_found_at_the_beginning_of_a_line() {
        let text = "a: é\r\n<<<<<<< HEAD\r\nb: 2\r\n=======\r\nb: 3\r\n>>>>>>> theirs\r\n";
        assert_eq!(marker(text), Some("<<<<<<< HEAD"));
        assert_eq!(marker("a: {b: 1,\n>>>>>>> main\n}"), Some(">>>>>>> main"));
        assert_eq!(marker("a: 1\n=======\n"), Some("======="));
        assert_eq!(marker("a: 1\n||||||| parent of 1a2b3c4\n"), Some("||||||| parent of 1a2b3c4"));
    }

    #[test]
    fn what_only_resembles_one_is_left_alone() {
        assert_eq!(marker(""), None);
        assert_eq!(marker("a: |\n  Title\n  =======\n  <<<<<<< not at the beginning\n"), None);
        assert_eq!(marker("========\n<<<<<<<<\n<<<<<<<x\n# =======\n"), None);
    }
}
