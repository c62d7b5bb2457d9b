//! The page of functions: Tenantry's own, and CEL's library by examples, each of which a test evaluates.

use std::fmt::Write as _;

use super::functions::Function;
use super::sql;
use crate::reference::GENERATED;

/// A part of the library.
pub struct Section {
    title: &'static str,
    about: &'static str,
    pub rows: &'static [Row],
}

/// A function or an operator.
pub struct Row {
    /// In Markdown.
    usage: &'static str,
    /// An expression.
    pub example: &'static str,
    /// An expression of its value.
    pub result: &'static str,
}

const fn row(usage: &'static str, example: &'static str, result: &'static str) -> Row {
    Row { usage, example, result }
}

/// The page.
pub fn page() -> String {
    let mut page = format!(
        "# Functions of expressions\n\n{GENERATED}\n\n\
         Where expressions stand and what they know is on the page of [expressions](../expressions.md).\n\n\
         ## Tenantry's own\n\n| function | result |\n|---|---|\n"
    );
    for function in Function::ALL {
        let _ = writeln!(page, "| `{}` | {} |", function.forms(), function.meaning());
    }
    for name in sql::FUNCTIONS {
        let _ = writeln!(page, "| `{name}(value)` | quoted for [SQL](../expressions.md#in-sql) |");
    }
    page.push_str(
        "\n`ident` and `dnsLabel` never give two texts the same name: a result that had to be shortened, or that differs from the \
         text in more than its hyphens, ends with a hash of the original. A `limit` is at least 10. Leave room for what you add: \
         `tenant_` and 56 bytes make 63.\n",
    );
    let cell = |text: &str| text.replace('|', "\\|");
    for Section { title, about, rows } in LIBRARY {
        let _ = write!(page, "\n## {title}\n\n");
        if !about.is_empty() {
            let _ = write!(page, "{about}\n\n");
        }
        page.push_str("| | example | is |\n|---|---|---|\n");
        for Row { usage, example, result } in *rows {
            let _ = writeln!(page, "| {} | `{}` | `{}` |", cell(usage), cell(example), cell(result));
        }
    }
    page
}

/// Every function and operator of the library.
pub const LIBRARY: &[Section] = &[
    Section {
        title: "Operators and macros",
        about: "Macros iterate over the items of a list, or over the keys of a map in their order.",
        rows: &[
            row("arithmetic", "7 / 2 + 7 % 2 * 3 - 1", "5"),
            row("joining texts and lists", "'a' + 'b' + string([1] + [2] == [1, 2])", "'abtrue'"),
            row("comparison", "1 < 2 && 'a' <= 'b' && 1 == 1.0 && 1 != 2", "true"),
            row("logic", "!(true && false) || false", "true"),
            row("choice", "size('abc') > 2 ? 'long' : 'short'", "'long'"),
            row("membership", "'b' in ['a', 'b'] && 'k' in {'k': 1}", "true"),
            row("list item, map field", "[5, 6][1] + {'a': 1}['a'] + {'a': 1}.a", "8"),
            row("`has(map.field)`: whether it is there", "has({'a': 1}.a) && !has({'a': 1}.b)", "true"),
            row("`list.map(x, value)`", "[1, 2].map(x, x * 2)", "[2, 4]"),
            row("`list.map(x, condition, value)`", "[1, 2].map(x, x > 1, x * 2)", "[4]"),
            row("`list.filter(x, condition)`", "[1, 2].filter(x, x > 1)", "[2]"),
            row("`list.all(x, condition)`", "[1, 2].all(x, x > 0)", "true"),
            row("`list.exists(x, condition)`", "[1, 2].exists(x, x > 1)", "true"),
            row(
                "`list.exists_one(x, condition)`, `existsOne`",
                "[1, 2].exists_one(x, x > 1) && [1].existsOne(x, x == 1)",
                "true",
            ),
        ],
    },
    Section {
        title: "Types",
        about: "Numbers do not mix: write `double(1) + 1.5`. Unsigned numbers, bytes, times and durations exist only inside an expression; convert a result with `int(…)` or `string(…)`.",
        rows: &[
            row(
                "`int(value)`, `uint(value)`, `double(value)`",
                "int('5') + int(2.9) + int(3u) + int(double('1.5') * 2.0) + int(uint(7))",
                "20",
            ),
            row("`string(value)`, `bool(text)`", "string(1.5) + string(bool('true'))", "'1.5true'"),
            row("`bytes(text)`", "size(bytes('é'))", "2"),
            row("`dyn(value)`", "dyn(1) == 1", "true"),
            row("`type(value)`", "type(1) == int && type('') == string && type([]) == list && type({}) == map", "true"),
        ],
    },
    Section {
        title: "Texts",
        about: "Positions count characters, from 0.",
        rows: &[
            row("`size(text)`, `text.size()`", "size('é') + 'ab'.size()", "3"),
            row(
                "`contains`, `startsWith`, `endsWith`",
                "'acme'.contains('cm') && 'acme'.startsWith('ac') && 'acme'.endsWith('me')",
                "true",
            ),
            row("`matches(pattern)`, a regular expression", "'acme-7'.matches('^[a-z]+-[0-9]$')", "true"),
            row(
                "`lowerAscii`, `upperAscii`, `trim`, `reverse`",
                "' Ab '.trim().lowerAscii() + 'c'.upperAscii() + 'de'.reverse()",
                "'abCed'",
            ),
            row("`charAt(position)`", "'abc'.charAt(1)", "'b'"),
            row(
                "`indexOf(text[, from])`, `lastIndexOf(text[, from])`",
                "[ 'abab'.indexOf('b'), 'abab'.indexOf('b', 2), 'abab'.lastIndexOf('a') ]",
                "[1, 3, 2]",
            ),
            row("`substring(from[, to])`", "'abcd'.substring(1, 3) + 'abcd'.substring(3)", "'bcd'"),
            row(
                "`replace(old, new[, times])`",
                "'a-b-c'.replace('-', '_') + 'a-b-c'.replace('-', '_', 1)",
                "'a_b_ca_b-c'",
            ),
            row(
                "`split(separator[, pieces])`",
                "'a,b,c'.split(',') + 'a,b,c'.split(',', 2)",
                "['a', 'b', 'c', 'a', 'b,c']",
            ),
            row("`list.join([separator])`", "['a', 'b'].join('.') + ['c', 'd'].join()", "'a.bcd'"),
            row(
                "`format(list)`: `%s %d %f %e %b %x %X %o`",
                "'%s has %d, %.1f'.format(['acme', 3, 1.25])",
                "'acme has 3, 1.2'",
            ),
            row("`strings.quote(text)`", r#"strings.quote('a"b')"#, r#"'"a\\"b"'"#),
            row(
                "`base64.encode(bytes)`, `base64.decode(text)`",
                "base64.encode(bytes('hi')) + string(base64.decode('aGk='))",
                "'aGk=hi'",
            ),
        ],
    },
    Section {
        title: "Lists and maps",
        about: "",
        rows: &[
            row("`size(list)`, `size(map)`", "size([1, 2]) + size({'a': 1})", "3"),
            row("`slice(from, to)`", "[1, 2, 3].slice(1, 3)", "[2, 3]"),
            row("`flatten([levels])`", "[[1], [2, [3]]].flatten()", "[1, 2, [3]]"),
            row("`distinct`", "[1, 2, 1].distinct()", "[1, 2]"),
            row("`reverse`", "[1, 2].reverse()", "[2, 1]"),
            row("`sort`, `sortBy(x, key)`", "[3, 1].sort() + [1, 3].sortBy(x, -x)", "[1, 3, 3, 1]"),
            row("`lists.range(count)`", "lists.range(3)", "[0, 1, 2]"),
        ],
    },
    Section {
        title: "Numbers",
        about: "",
        rows: &[
            row(
                "`math.greatest`, `math.least`: of values or of a list",
                "math.greatest(1, 5, 3) + math.least([4, 2])",
                "7",
            ),
            row("`math.abs`, `math.sign`", "math.abs(-5) + math.sign(-5)", "4"),
            row(
                "`math.ceil`, `math.floor`, `math.round`, `math.trunc`",
                "[math.ceil(1.2), math.floor(1.8), math.round(1.5), math.trunc(1.9)]",
                "[2.0, 1.0, 2.0, 1.0]",
            ),
            row("`math.sqrt`", "math.sqrt(9)", "3.0"),
            row(
                "`math.isFinite`, `math.isInf`, `math.isNaN`",
                "math.isFinite(1.0) && !math.isInf(1.0) && !math.isNaN(1.0)",
                "true",
            ),
            row(
                "`math.bitAnd`, `math.bitOr`, `math.bitXor`, `math.bitNot`",
                "[math.bitAnd(6, 3), math.bitOr(6, 3), math.bitXor(6, 3), math.bitNot(0)]",
                "[2, 7, 5, -1]",
            ),
            row(
                "`math.bitShiftLeft`, `math.bitShiftRight`",
                "math.bitShiftLeft(1, 4) + math.bitShiftRight(16, 2)",
                "20",
            ),
        ],
    },
    Section {
        title: "Dates",
        about: "`timestamp(…)` parses an RFC 3339 time, `duration(…)` a length such as `36h`, `90m`, `1h30m` or `1.5s`. Times are in the years 1 to 9999.",
        rows: &[
            row(
                "time and duration",
                "string(timestamp('2026-01-31T00:00:00Z') + duration('36h'))",
                "'2026-02-01T12:00:00Z'",
            ),
            row("", "string(timestamp('2026-01-31T00:00:00Z') - duration('1s'))", "'2026-01-30T23:59:59Z'"),
            row(
                "between two times",
                "(timestamp('2026-03-01T00:00:00Z') - timestamp('2026-02-01T00:00:00Z')).getHours() / 24",
                "28",
            ),
            row(
                "two durations",
                "duration('1h') + duration('30m') == duration('90m') && duration('1h') - duration('1m') < duration('1h')",
                "true",
            ),
            row("comparison", "timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-01T00:00:00-01:00')", "true"),
            row("seconds since 1970", "int(timestamp('1970-01-02T00:00:00Z'))", "86400"),
            row(
                "`getFullYear()`, `getMonth()` from 0",
                "[timestamp('2026-03-05T01:02:03.004Z').getFullYear(), timestamp('2026-03-05T01:02:03.004Z').getMonth()]",
                "[2026, 2]",
            ),
            row(
                "`getDate()` from 1, `getDayOfMonth()` from 0",
                "[timestamp('2026-03-05T01:02:03.004Z').getDate(), timestamp('2026-03-05T01:02:03.004Z').getDayOfMonth()]",
                "[5, 4]",
            ),
            row(
                "`getDayOfYear()` from 0, `getDayOfWeek()` from 0, Sunday",
                "[timestamp('2026-03-05T01:02:03.004Z').getDayOfYear(), timestamp('2026-03-05T01:02:03.004Z').getDayOfWeek()]",
                "[63, 4]",
            ),
            row(
                "`getHours()`, `getMinutes()`",
                "[timestamp('2026-03-05T01:02:03.004Z').getHours(), timestamp('2026-03-05T01:02:03.004Z').getMinutes()]",
                "[1, 2]",
            ),
            row(
                "`getSeconds()`, `getMilliseconds()`",
                "[timestamp('2026-03-05T01:02:03.004Z').getSeconds(), timestamp('2026-03-05T01:02:03.004Z').getMilliseconds()]",
                "[3, 4]",
            ),
            row(
                "each in a time zone",
                "[timestamp('2026-03-05T23:00:00Z').getDate('Europe/Berlin'), timestamp('2026-03-05T23:00:00Z').getHours('-03:00')]",
                "[6, 20]",
            ),
            row(
                "of a duration: the whole in that unit",
                "[duration('90m').getHours(), duration('90m').getMinutes(), duration('2s').getSeconds(), duration('2s').getMilliseconds()]",
                "[1, 90, 2, 2000]",
            ),
        ],
    },
];
