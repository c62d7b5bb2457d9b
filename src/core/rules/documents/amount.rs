//! Amounts that are probably written in cents.

use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::AMOUNT_IN_CENTS,
    level: Level::Warning,
    cause: "An amount is in the main unit of its currency. One in cents, as the API of a payment provider takes it, is a hundred times too much.",
    example: "
kind: Tier
metadata: {name: starter}
spec: {rank: 1, price: {currency: usd, amount: \"4900\", interval: month}}   # meant: $49",
    remedy: "Write `\"49.00\"`. If the large amount is meant, write its decimals: `\"4900.00\"`.",
};

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    for tier in &inputs.estate.tiers {
        let Some(price) = tier.spec.price.as_ref().filter(|price| is_probably_cents(&price.amount, &price.currency))
        else {
            continue;
        };
        let (meant, amount) = (in_cents(&price.amount), &price.amount);
        let message = format!(
            "the price of tier `{}` is {amount} {}, which looks like cents",
            tier.metadata.name, price.currency
        );
        let origin = tier.positions.origin("/spec/price/amount");
        let help = format!("write \"{meant}\" if cents are meant, and else \"{amount}.00\"");
        findings.add_at(&RULE, origin, format!("{meant} in cents"), message, help);
    }
}

/// Whether an amount is a whole number without decimals that is a usual price in cents: 4900, 19900, 99900. A currency with
/// other than two decimals has no cents.
pub fn is_probably_cents(amount: &str, currency: &str) -> bool {
    const WITHOUT_CENTS: [&str; 24] = [
        "bhd", "bif", "clp", "djf", "gnf", "huf", "idr", "iqd", "isk", "jod", "jpy", "kmf", "krw", "kwd", "mga", "omr",
        "pyg", "rwf", "tnd", "ugx", "vnd", "vuv", "xaf", "xof",
    ];
    let is_whole = amount.bytes().all(|byte| byte.is_ascii_digit());
    let usual = amount.ends_with("900") || amount.ends_with("500") || amount.ends_with("99");
    is_whole
        && amount.len() >= 4
        && usual
        && !WITHOUT_CENTS.contains(&&*currency.to_lowercase())
        && !is_usual_as_it_is(amount)
}

/// A price of thousands that ends in 99 is as usual as one in cents: 4999, 1999.
fn is_usual_as_it_is(amount: &str) -> bool {
    amount.ends_with("99") && amount.len() == 4 && !amount.ends_with("9900")
}

/// What an amount would be if it was in cents.
pub fn in_cents(amount: &str) -> String {
    let (whole, cents) = amount.split_at(amount.len().saturating_sub(2));
    format!("{whole}.{cents}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_told_from_large_amounts() {
        for amount in ["4900", "19900", "99900", "2500", "12499", "124900"] {
            assert!(is_probably_cents(amount, "usd"), "{amount}");
        }
        for (amount, currency) in [
            ("4999", "usd"),
            ("999", "usd"),
            ("1200", "eur"),
            ("4900.00", "usd"),
            ("49.00", "usd"),
            ("4900", "jpy"),
            ("0", "usd"),
        ] {
            assert!(!is_probably_cents(amount, currency), "{amount} {currency}");
        }
        assert_eq!(in_cents("4900"), "49.00");
    }
}
