//! Tables that are written many rows at a time, and the statements that do it.
//!
//! A statement for each row would cost a round trip to the server, or a hand-over to the thread of SQLite. PostgreSQL takes all
//! rows as one JSON text. SQLite would parse such a text again for each cell of each row, so there
//! each cell has a placeholder.

use serde::Serialize;

/// The most rows of one statement. SQLite takes 32,766 placeholders: <https://www.sqlite.org/limits.html#max_variable_number>.
pub const MOST_ROWS: usize = 256;

/// A table, with the columns that are written. Every table has a column `scope` before these.
pub struct Table<const N: usize> {
    name: &'static str,
    columns: [Column; N],
    conflict: Conflict,
}

#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    is_integer: bool,
}

/// What becomes of a row whose key the table has already.
#[derive(Clone, Copy)]
enum Conflict {
    /// It is refused.
    Refuse,
    /// The table keeps its row. The text is the key, besides the scope.
    Ignore(&'static str),
    /// The row takes the place of the table's.
    Replace(&'static str),
}

/// What a row has in a column.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Cell<'a> {
    Integer(i64),
    Text(&'a str),
    Null,
}

const fn integer(name: &'static str) -> Column {
    Column { name, is_integer: true }
}

const fn text(name: &'static str) -> Column {
    Column { name, is_integer: false }
}

pub const JOURNAL: Table<7> = Table {
    name: "journal",
    columns: [
        integer("sequence"),
        integer("run"),
        text("at"),
        text("event"),
        text("owner"),
        text("detail"),
        text("hash"),
    ],
    conflict: Conflict::Refuse,
};

pub const OPEN_STEPS: Table<3> = Table {
    name: "open_steps",
    columns: [text("address"), integer("sequence"), text("step")],
    conflict: Conflict::Replace("address"),
};

pub const INVENTORY: Table<10> = Table {
    name: "inventory",
    columns: [
        text("address"),
        text("kind"),
        text("target"),
        text("identity"),
        text("spec"),
        text("outputs"),
        integer("generation"),
        integer("protect"),
        text("depends_on"),
        integer("sequence"),
    ],
    conflict: Conflict::Replace("address"),
};

pub const PHASES: Table<2> =
    Table { name: "phases", columns: [text("tenant"), text("phase")], conflict: Conflict::Replace("tenant") };

pub const TARGETS: Table<3> = Table {
    name: "targets",
    columns: [text("target"), text("fingerprint"), text("since")],
    conflict: Conflict::Replace("target"),
};

pub const LOCKS: Table<6> = Table {
    name: "locks",
    columns: [
        text("owner"),
        text("holder"),
        text("process"),
        integer("token"),
        integer("acquired"),
        integer("expires"),
    ],
    conflict: Conflict::Replace("owner"),
};

pub const LOST: Table<2> =
    Table { name: "lost", columns: [text("holder"), text("owner")], conflict: Conflict::Ignore("holder") };

impl<const N: usize> Table<N> {
    /// For SQLite: writes as many rows as are asked for. The parameters of each row are the scope and its cells.
    pub fn sqlite(&self, rows: usize) -> String {
        let row = format!("(?{})", ", ?".repeat(N));
        let mut sql = self.insert();
        sql.push_str(" VALUES ");
        for index in 0..rows {
            sql.push_str(if index == 0 { "" } else { ", " });
            sql.push_str(&row);
        }
        sql + &self.on_conflict()
    }

    /// For PostgreSQL. The first parameter is a list of rows as JSON, the second the scope.
    pub fn postgres(&self) -> String {
        let cells = self.columns.iter().enumerate().map(|(index, column)| match column.is_integer {
            true => format!(", CAST(value ->> {index} AS BIGINT)"),
            false => format!(", value ->> {index}"),
        });
        let (insert, cells) = (self.insert(), cells.collect::<String>());
        format!("{insert} SELECT $2{cells} FROM jsonb_array_elements($1::jsonb){}", self.on_conflict())
    }

    fn insert(&self) -> String {
        let columns: String = self.columns.iter().map(|column| format!(", {}", column.name)).collect();
        format!("INSERT INTO {} (scope{columns})", self.name)
    }

    fn on_conflict(&self) -> String {
        match self.conflict {
            Conflict::Refuse => String::new(),
            Conflict::Ignore(key) => format!(" ON CONFLICT (scope, {key}) DO NOTHING"),
            Conflict::Replace(key) => {
                let others = self.columns.iter().map(|column| column.name).filter(|name| *name != key);
                let set: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
                format!(" ON CONFLICT (scope, {key}) DO UPDATE SET {}", set.join(", "))
            }
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How many rows each statement gets: powers of two, so that a few prepared statements do for any number of rows.
pub fn portions(rows: usize) -> impl Iterator<Item = usize> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let portion = 1 << left.checked_ilog2()?;
        let portion = MOST_ROWS.min(portion);
        left -= portion;
        Some(portion)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_write_the_same_columns() {
        assert_eq!(
            OPEN_STEPS.sqlite(2),
            "INSERT INTO open_steps (scope, address, sequence, step) VALUES (?, ?, ?, ?), (?, ?, ?, ?) \
             ON CONFLICT (scope, address) DO UPDATE SET sequence = excluded.sequence, step = excluded.step"
        );
        assert_eq!(
            OPEN_STEPS.postgres(),
            "INSERT INTO open_steps (scope, address, sequence, step) SELECT $2, value ->> 0, \
             CAST(value ->> 1 AS BIGINT), value ->> 2 FROM jsonb_array_elements($1::jsonb) \
             ON CONFLICT (scope, address) DO UPDATE SET sequence = excluded.sequence, step = excluded.step"
        );
        assert!(JOURNAL.sqlite(1).ends_with("VALUES (?, ?, ?, ?, ?, ?, ?, ?)"), "an entry is never replaced");
        assert!(LOST.postgres().ends_with("ON CONFLICT (scope, holder) DO NOTHING"));
    }

    #[test]
    fn portions_are_powers_of_two_and_leave_nothing_out() {
        assert_eq!(portions(0).count(), 0);
        assert_eq!(portions(1).collect::<Vec<_>>(), [1]);
        assert_eq!(portions(45).collect::<Vec<_>>(), [32, 8, 4, 1]);
        assert_eq!(portions(600).collect::<Vec<_>>(), [256, 256, 64, 16, 8]);
    }
}
