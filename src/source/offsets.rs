//! Converts positions of the YAML parser, which counts characters, to bytes.

use saphyr_parser::Span as Place;

use tenantry_core::diagnostics::Span;

/// Bytes by character.
pub struct Offsets {
    /// `None` if all characters have one byte.
    bytes: Option<Vec<u32>>,
    end: u32,
}

impl Offsets {
    pub fn new(text: &str) -> Self {
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let bytes = (!text.is_ascii())
            .then(|| text.char_indices().map(|(byte, _)| u32::try_from(byte).unwrap_or(u32::MAX)).collect());
        Self { bytes, end }
    }

    pub fn byte(&self, character: usize) -> u32 {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.end),
            None => u32::try_from(character).unwrap_or(u32::MAX).min(self.end),
        }
    }

    pub fn span(&self, place: Place) -> Span {
        let start = self.byte(place.start.index());
        Span { start, end: self.byte(place.end.index()).max(start) }
    }
}
