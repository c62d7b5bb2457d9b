//! New secrets.

use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// Characters of a generated secret: 32 out of 62 are 190 bits, beyond any guessing, and short enough for every target.
pub const LENGTH: usize = 32;

/// What a secret is made of.
#[derive(Clone, Copy, Debug)]
pub struct Alphabet(&'static [u8]);

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random numbers: {0}")]
pub struct NoRandomness(String);

impl Alphabet {
    /// Letters and digits, which need no quoting in SQL, URLs, YAML or shells.
    pub const ALPHANUMERIC: Self = Self::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

    /// An alphabet of distinct ASCII characters.
    ///
    /// # Panics
    /// If there are fewer than two, or one is not ASCII: meant for constants, where it shows when compiling.
    pub const fn new(characters: &'static [u8]) -> Self {
        assert!(characters.len() >= 2 && characters.len() <= 128 && characters.is_ascii());
        Self(characters)
    }
}

/// A random text of `length` characters, each as likely as any other. [`LENGTH`] is the usual one.
///
/// # Errors
/// If the operating system gives no random numbers.
pub fn generate(alphabet: Alphabet, length: usize) -> Result<SecretString, NoRandomness> {
    let characters = alphabet.0;
    // A remainder alone would favour the first characters, so numbers beyond the last whole multiple are drawn again.
    let fair = 256 - 256 % characters.len();
    let mut secret = Zeroizing::new(String::with_capacity(length));
    let mut random = Zeroizing::new([0_u8; 64]);
    while secret.len() < length {
        SysRng.try_fill_bytes(random.as_mut_slice()).map_err(|error| NoRandomness(error.to_string()))?;
        let drawn = random.iter().map(|byte| usize::from(*byte)).filter(|number| *number < fair);
        let missing = length - secret.len();
        secret.extend(drawn.take(missing).map(|number| char::from(characters[number % characters.len()])));
    }
    Ok(secret.as_str().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn secrets_have_their_length_and_alphabet_and_differ() {
        let secrets: std::collections::BTreeSet<String> = (0..100)
            .map(|_| generate(Alphabet::ALPHANUMERIC, LENGTH).expect("random numbers").expose_secret().to_owned())
            .collect();
        assert_eq!(secrets.len(), 100);
        for secret in secrets {
            assert_eq!(secret.len(), 32);
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        assert_eq!(generate(Alphabet::ALPHANUMERIC, 0).expect("nothing to draw").expose_secret(), "");
        assert_eq!(generate(Alphabet::ALPHANUMERIC, 1000).expect("random numbers").expose_secret().len(), 1000);
    }

    /// With 100 letters a remainder alone would draw the first 56 half as often again as the others.
    #[test]
    fn every_character_is_as_likely_as_any_other() {
        const MANY: &[u8] = &{
            let mut all = [0; 100];
            let mut letter = 0;
            while letter < 100 {
                all[letter as usize] = 20 + letter;
                letter += 1_u8;
            }
            all
        };
        let secret = generate(Alphabet::new(MANY), 200_000).expect("random numbers");
        let mut counts = BTreeMap::<u8, u32>::new();
        secret.expose_secret().bytes().for_each(|byte| *counts.entry(byte).or_default() += 1);
        assert_eq!(counts.len(), 100);
        // 2,000 are expected of each, with a standard deviation of 45; this is eight of them.
        assert!(counts.values().all(|count| (1_640..2_360).contains(count)), "{counts:?}");
    }
}
