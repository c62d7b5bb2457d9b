//! Amounts: decimal text in a currency's main unit here, integers of its smallest unit there.
//!
//! Which currencies have how many decimals is Stripe's rule and not ISO 4217's
//! (<https://docs.stripe.com/currencies#special-cases>).

/// Currencies without decimals.
const ZERO: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];

/// Currencies without decimals whose amounts are sent with two all the same.
const ZERO_SENT_AS_TWO: [&str; 2] = ["isk", "ugx"];

/// Currencies with three decimals, of which the last is always zero.
const THREE: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// Decimals below the smallest unit that a metered price may have.
pub const FRACTION_DECIMALS: usize = 12;

/// How an amount of a currency is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimals {
    /// That an amount may use.
    pub allowed: usize,
    /// By which the smallest unit is smaller than the main one.
    pub sent: usize,
}

pub fn decimals(currency: &str) -> Decimals {
    let currency = currency.to_ascii_lowercase();
    let is_of = |list: &[&str]| list.contains(&currency.as_str());
    if is_of(&ZERO) {
        Decimals { allowed: 0, sent: 0 }
    } else if is_of(&ZERO_SENT_AS_TWO) {
        Decimals { allowed: 0, sent: 2 }
    } else if is_of(&THREE) {
        Decimals { allowed: 2, sent: 3 }
    } else {
        Decimals { allowed: 2, sent: 2 }
    }
}

/// A decimal number that is not negative, without zeros that mean nothing: `("4999", "5")` is 4999.5.
fn parts(text: &str) -> Option<(String, String)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || text.ends_with('.') || text.len() > 40 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    Some((if whole.is_empty() { "0" } else { whole }.to_owned(), fraction.trim_end_matches('0').to_owned()))
}

/// Decimals that an amount really uses; `None` if the text is no amount.
pub fn decimals_used(text: &str) -> Option<usize> {
    parts(text).map(|(_, fraction)| fraction.len())
}

/// The one way in which an amount is written: as many decimals as the currency has, more only where they are not zero.
pub fn canonical(text: &str, currency: &str) -> Option<String> {
    let (whole, mut fraction) = parts(text)?;
    while fraction.len() < decimals(currency).allowed {
        fraction.push('0');
    }
    Some(if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") })
}

/// An amount in the smallest unit, which may have a fraction.
pub fn to_smallest(text: &str, currency: &str) -> Option<String> {
    let (whole, mut fraction) = parts(text)?;
    let sent = decimals(currency).sent;
    while fraction.len() < sent {
        fraction.push('0');
    }
    let (shifted, rest) = fraction.split_at(sent);
    let (whole, rest) =
        parts(&if rest.is_empty() { format!("{whole}{shifted}") } else { format!("{whole}{shifted}.{rest}") })?;
    Some(if rest.is_empty() { whole } else { format!("{whole}.{rest}") })
}

/// An amount from the smallest unit.
pub fn from_smallest(text: &str, currency: &str) -> Option<String> {
    let (whole, fraction) = parts(text)?;
    let sent = decimals(currency).sent;
    let digits = format!("{whole:0>width$}", width = sent + 1);
    let (main, shifted) = digits.split_at(digits.len() - sent);
    let text = if sent == 0 && fraction.is_empty() { main.to_owned() } else { format!("{main}.{shifted}{fraction}") };
    canonical(&text, currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_go_there_and_back() {
        for (text, currency, smallest) in [
            ("4999.00", "usd", "499900"),
            ("0.50", "eur", "50"),
            ("0.05", "eur", "5"),
            ("0.00", "eur", "0"),
            ("500", "jpy", "500"),
            ("1000", "ISK", "100000"),
            ("1.50", "kwd", "1500"),
            ("0.0000125", "usd", "0.00125"),
            ("0.5", "jpy", "0.5"),
        ] {
            assert_eq!(to_smallest(text, currency).as_deref(), Some(smallest), "{text} {currency}");
            assert_eq!(from_smallest(smallest, currency).as_deref(), Some(text), "{smallest} {currency}");
        }
        assert_eq!(from_smallest("499900.000000000000", "usd").as_deref(), Some("4999.00"));
    }

    #[test]
    fn one_amount_is_written_one_way() {
        for text in ["10", "10.0", "010.00", "10.000"] {
            assert_eq!(canonical(text, "usd").as_deref(), Some("10.00"), "{text}");
        }
        assert_eq!(canonical("10.00", "jpy").as_deref(), Some("10"));
        for bad in ["", "-1", "1,5", "1e3", ".5", "5.", "ten", "1.2.3"] {
            assert_eq!(canonical(bad, "usd"), None, "{bad}");
        }
    }
}
