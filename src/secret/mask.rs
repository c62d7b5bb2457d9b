//! Keeps secrets out of texts that others wrote: the last line of defence for errors of servers.
//!
//! A secret is looked for as it is, in hexadecimal and in base64 at each of the three ways it can lie in longer data, in
//! the text and in every reading of it: percent-decoded, with JSON's escapes undone, with line ends removed, and these
//! one after another. Reading the text, rather than writing the secret in each way it could be written, finds every
//! spelling of an escape.

mod readings;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use readings::Reading;

/// The text in place of a secret.
pub const MASK: &str = "***";

/// The fewest bytes of a secret that is masked. Shorter ones occur in ordinary words, and masking those would say what
/// the secret is.
pub const SHORTEST: usize = 6;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Masks a set of secrets.
///
/// Cost grows with the text, hardly with the number of secrets: their first bytes are looked up by hash. Case is ignored
/// throughout, for hexadecimal comes in either.
#[derive(Default)]
pub struct Masker {
    /// In lower case.
    patterns: Vec<Zeroizing<Vec<u8>>>,
    /// Indices of patterns by the hash of their first [`SHORTEST`] bytes.
    beginnings: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
}

impl Masker {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut masker = Self::default();
        masker.extend(secrets);
        masker
    }

    /// Masks more secrets from now on.
    pub fn extend<'a>(&mut self, secrets: impl IntoIterator<Item = &'a SecretString>) {
        for secret in secrets {
            // A file's last line end is part of the value, but not of what a message quotes.
            let secret = secret.expose_secret().trim().as_bytes();
            if secret.len() < SHORTEST {
                continue;
            }
            self.add(Zeroizing::new(secret.to_vec()));
            self.add(hexadecimal(secret));
            for offset in 0..3 {
                let core = base64_core(secret, offset);
                if core.iter().any(|byte| matches!(byte, b'+' | b'/')) {
                    self.add(url_safe(&core));
                }
                self.add(core);
            }
        }
    }

    /// The text with every secret masked.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.patterns.is_empty() {
            return text.into();
        }
        let mut found: Vec<(usize, usize)> = Vec::new();
        for reading in readings::all(text) {
            self.find(&reading, &mut found);
        }
        if found.is_empty() {
            return text.into();
        }
        found.sort_unstable();
        let mut masked = String::with_capacity(text.len());
        let mut copied = 0;
        for (start, end) in found {
            let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
            // What begins within the one before, or right after it, is covered by the same mask.
            if start > copied || masked.is_empty() {
                masked.push_str(&text[copied..start.max(copied)]);
                masked.push_str(MASK);
            }
            copied = copied.max(end);
        }
        masked.push_str(&text[copied..]);
        masked.into()
    }

    fn add(&mut self, mut pattern: Zeroizing<Vec<u8>>) {
        pattern.make_ascii_lowercase();
        let Some(beginning) = pattern.first_chunk::<SHORTEST>() else { return };
        let index = u32::try_from(self.patterns.len()).unwrap_or(u32::MAX);
        self.beginnings.entry(self.hasher.hash_one(beginning)).or_default().push(index);
        self.patterns.push(pattern);
    }

    /// Adds the positions in the text of the secrets of one reading.
    fn find(&self, reading: &Reading, found: &mut Vec<(usize, usize)>) {
        let bytes = reading.bytes();
        for (at, window) in bytes.array_windows::<SHORTEST>().enumerate() {
            let Some(candidates) = self.beginnings.get(&self.hasher.hash_one(window)) else { continue };
            let matching = candidates.iter().filter_map(|index| self.patterns.get(*index as usize));
            let longest =
                matching.filter(|pattern| bytes[at..].starts_with(pattern)).map(|pattern| pattern.len()).max();
            found.extend(longest.map(|length| reading.place(at, at + length)));
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    let mut hexadecimal = Zeroizing::new(Vec::with_capacity(bytes.len() * 2));
    hexadecimal.extend(digits);
    hexadecimal
}

/// The characters of base64 (RFC 4648) that depend on these bytes alone, if they follow `offset` other bytes of a group
/// of three. So neither padding nor what stands around them matters.
fn base64_core(bytes: &[u8], offset: usize) -> Zeroizing<Vec<u8>> {
    let first = (offset * 8).div_ceil(6);
    let end = (offset + bytes.len()) * 8 / 6;
    let byte = |index: usize| {
        let byte = index.checked_sub(offset).and_then(|index| bytes.get(index));
        byte.copied().map_or(0, u16::from)
    };
    let mut core = Zeroizing::new(Vec::with_capacity(end.saturating_sub(first)));
    core.extend((first..end).map(|character| {
        let bit = character * 6;
        let pair = byte(bit / 8) << 8 | byte(bit / 8 + 1);
        BASE64[usize::from(pair >> (10 - bit % 8) & 63)]
    }));
    core
}

fn url_safe(base64: &[u8]) -> Zeroizing<Vec<u8>> {
    let translated = base64.iter().map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => *other,
    });
    let mut url_safe = Zeroizing::new(Vec::with_capacity(base64.len()));
    url_safe.extend(translated);
    url_safe
}

#[cfg(test)]
mod tests;
