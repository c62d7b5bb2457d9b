//! The inventory as it comes out of the database.
//!
//! An estate of ten thousand tenants has some hundred thousand rows, and handing them over one by one costs several times
//! what reading them does. So the database joins a thousand rows into one text, and this takes it apart. Texts are
//! preceded by their length in bytes and a colon; numbers are followed by a colon.

use std::str::FromStr;
use std::sync::Arc;

use super::journal::Interner;
use tenantry_core::model::address::Address;
use tenantry_core::model::resource::Applied;

/// What the column `protect` adds up: the record asks for protection.
pub const PROTECTED: i64 = 1;

/// The record has moved here and its mark has not followed. Which mark that is, the entry says that the row comes from.
pub const MARKED_ELSEWHERE: i64 = 2;

/// Takes packed rows apart, keeping texts that occur again and again once.
#[derive(Default)]
pub struct Unpacker {
    texts: Interner,
    rows: Vec<Applied>,
    /// For each row, the number of the journal's entry that it comes from.
    sequences: Vec<i64>,
    /// The rows that are marked elsewhere.
    marked: Vec<usize>,
}

impl Unpacker {
    /// Adds the rows of one part. The error says what stands in place of a row.
    pub fn add(&mut self, packed: &str) -> Result<(), String> {
        let mut rest = packed;
        while !rest.is_empty() {
            let row = self.row(&mut rest).ok_or_else(|| {
                let row = self.rows.len() + 1;
                format!("row {row} of the inventory is damaged")
            })?;
            let (row, sequence, flags) = row;
            if flags & MARKED_ELSEWHERE != 0 {
                self.marked.push(self.rows.len());
            }
            self.rows.push(row);
            self.sequences.push(sequence);
        }
        Ok(())
    }

    /// The entries that rows come from which are marked elsewhere.
    pub fn moved(&self) -> Vec<i64> {
        self.marked.iter().map(|row| self.sequences[*row]).collect()
    }

    /// Notes the mark of the row that the entry `sequence` has moved.
    pub fn mark(&mut self, sequence: i64, marked: Option<Box<Address>>) {
        if let Some(row) = self.marked.iter().find(|row| self.sequences[**row] == sequence) {
            self.rows[*row].marked = marked;
        }
    }

    /// All rows, in order of address.
    pub fn finish(mut self) -> Vec<Applied> {
        // Rows come in the order of their first apply, which is that of addresses for long stretches.
        self.rows.sort_by(|a, b| a.address.cmp(&b.address));
        self.rows
    }

    /// The same, each with the number of the journal's entry that it comes from.
    pub fn finish_with_sequences(self) -> Vec<(i64, Applied)> {
        let mut rows: Vec<_> = self.sequences.into_iter().zip(self.rows).collect();
        rows.sort_by(|(_, a), (_, b)| a.address.cmp(&b.address));
        rows
    }

    fn row(&mut self, rest: &mut &str) -> Option<(Applied, i64, i64)> {
        let address = self.address(text(rest)?)?;
        let kind = self.texts.intern(text(rest)?);
        let target = self.texts.intern(text(rest)?).into();
        let identity = text(rest)?.into();
        let spec = text(rest)?.into();
        let outputs = self.outputs(text(rest)?);
        let depends_on = self.addresses(text(rest)?)?;
        let generation = number(rest)?;
        let flags: i64 = number(rest)?;
        let sequence = number(rest)?;
        let protect = flags & PROTECTED != 0;
        let applied =
            Applied { address, kind, marked: None, target, identity, spec, outputs, generation, protect, depends_on };
        Some((applied, sequence, flags))
    }

    /// Most resources have none.
    fn outputs(&mut self, outputs: &str) -> Arc<str> {
        if outputs.len() <= 2 { self.texts.intern(outputs) } else { outputs.into() }
    }

    /// An address that shares its owner with the row before, as most do.
    fn address(&mut self, text: &str) -> Option<Address> {
        let mut address = Address::from_str(text).ok()?;
        address.id = self.texts.intern(&address.id);
        if let Some(last) = self.rows.last()
            && last.address.owner == address.owner
        {
            address.owner = last.address.owner.clone();
        }
        Some(address)
    }

    fn addresses(&mut self, json: &str) -> Option<Vec<Address>> {
        if json == "[]" {
            return Some(Vec::new());
        }
        let texts: Vec<std::borrow::Cow<'_, str>> = serde_json::from_str(json).ok()?;
        texts.iter().map(|text| self.address(text)).collect()
    }
}

fn number<T: FromStr>(rest: &mut &str) -> Option<T> {
    let (number, after) = rest.split_once(':')?;
    *rest = after;
    number.parse().ok()
}

fn text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let length: usize = number(rest)?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(texts: [&str; 7], generation: u64, protect: u8) -> String {
        let texts: String = texts.iter().map(|text| format!("{}:{text}", text.len())).collect();
        format!("{texts}{generation}:{protect}:{}:", generation * 10)
    }

    #[test]
    fn rows_come_out_as_they_went_in_and_in_order() {
        let mut unpacker = Unpacker::default();
        let second = packed(["acme/queue[\"ö:1\"]", "k", "t", "i:9:", "{\"a\":\"ü\"}", "{}", "[\"acme/a\"]"], 12, 1);
        let first = packed(["estate/meter", "k", "t", "", "{}", "{\"id\":1}", "[]"], 1, 0);
        unpacker.add(&second).expect("packed");
        unpacker.add(&first).expect("packed");
        assert_eq!(unpacker.sequences, [120, 10]);
        let rows = unpacker.finish();
        assert_eq!(rows[0].address.to_string(), "estate/meter");
        assert_eq!((&*rows[0].outputs, rows[0].protect, rows[0].generation), ("{\"id\":1}", false, 1));
        assert_eq!(rows[1].address.to_string(), "acme/queue[\"ö:1\"]");
        assert_eq!((&*rows[1].identity, &*rows[1].spec), ("i:9:", "{\"a\":\"ü\"}"));
        assert_eq!((rows[1].protect, rows[1].generation), (true, 12));
        assert_eq!(rows[1].depends_on, ["acme/a".parse().expect("an address")]);
    }

    #[test]
    fn damage_is_told_and_never_a_panic() {
        let whole = packed(["acme/a", "k", "t", "i", "{}", "{}", "[]"], 1, 0);
        for end in 1..whole.len() {
            assert!(Unpacker::default().add(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        assert!(Unpacker::default().add("99999999999999999999:").is_err());
        assert!(Unpacker::default().add("1:ö").is_err());
    }
}
