//! A text, and what it says once escapes are undone.

/// How many escapes may lie within each other. A server's JSON in a proxy's JSON in a URL is as deep as is seen.
const DEPTH: usize = 3;

/// Bytes, each with the place in the original text that it was read from.
pub struct Reading {
    bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

/// The text itself, in lower case, and every way to read it that says something else.
pub fn all(text: &str) -> Vec<Reading> {
    let mut all = vec![Reading::of(text)];
    let mut new = 0;
    for _ in 0..DEPTH {
        let end = all.len();
        for index in new..end {
            let readings = [undo_percent, undo_form, undo_json, join_lines].map(|read| read(&all[index]));
            all.extend(readings.into_iter().flatten());
        }
        new = end;
    }
    all.iter_mut().for_each(|reading| reading.bytes.make_ascii_lowercase());
    all
}

impl Reading {
    fn of(text: &str) -> Self {
        // Longer texts than four gigabytes are not masked beyond that; no error is that long.
        let places: Vec<_> = (0..u32::try_from(text.len()).unwrap_or(u32::MAX - 1)).map(|at| (at, at + 1)).collect();
        Self { bytes: text.as_bytes()[..places.len()].to_vec(), places }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the original text the bytes from `start` to before `end` stand.
    pub fn place(&self, start: usize, end: usize) -> (usize, usize) {
        let (from, _) = self.places[start];
        let (_, to) = self.places[end - 1];
        (from as usize, to as usize)
    }

    /// Reads step by step: `read` says how many bytes are taken and what they say, or `None` for a byte as it is.
    /// `None` if every byte is.
    fn read(&self, read: impl Fn(&[u8]) -> Option<(usize, Vec<u8>)>) -> Option<Self> {
        let mut reading = Self { bytes: Vec::with_capacity(self.bytes.len()), places: Vec::new() };
        let mut changed = false;
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            match read(&self.bytes[at..]) {
                Some((taken, says)) => {
                    let place = (self.places[at].0, self.places[at + taken - 1].1);
                    reading.places.extend(says.iter().map(|_| place));
                    reading.bytes.extend(says);
                    at += taken;
                    changed = true;
                }
                None => {
                    reading.places.push(self.places[at]);
                    reading.bytes.push(*byte);
                    at += 1;
                }
            }
        }
        changed.then_some(reading)
    }
}

fn undo_percent(reading: &Reading) -> Option<Reading> {
    reading.read(percent)
}

/// As forms encode it: a plus is a space.
fn undo_form(reading: &Reading) -> Option<Reading> {
    reading.bytes.contains(&b'+').then_some(())?;
    reading.read(|rest| if rest[0] == b'+' { Some((1, vec![b' '])) } else { percent(rest) })
}

fn undo_json(reading: &Reading) -> Option<Reading> {
    reading.read(json)
}

/// As base64 is wrapped in mails and PEM.
fn join_lines(reading: &Reading) -> Option<Reading> {
    reading.read(|rest| matches!(rest[0], b'\r' | b'\n').then(|| (1, Vec::new())))
}

fn percent(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let [b'%', digits @ ..] = rest else { return None };
    let value = hexadecimal(digits.get(..2)?)?;
    Some((3, vec![u8::try_from(value).ok()?]))
}

/// RFC 8259, section 7.
fn json(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let [b'\\', escape, ..] = rest else { return None };
    let byte = match escape {
        b'"' | b'\\' | b'/' | b'\'' => *escape,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(rest),
        _ => return None,
    };
    Some((2, vec![byte]))
}

fn unicode(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let unit = |rest: &[u8]| match rest {
        [b'\\', b'u', digits @ ..] => hexadecimal(digits.get(..4)?),
        _ => None,
    };
    let first = unit(rest)?;
    if let Some(character) = char::from_u32(first) {
        return Some((6, character.to_string().into_bytes()));
    }
    let second = unit(rest.get(6..)?)?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let character = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
    Some((12, character.to_string().into_bytes()))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}
