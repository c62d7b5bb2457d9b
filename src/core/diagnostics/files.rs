//! The files that positions point into.

use std::sync::Arc;

/// A file of the estate, by its place in [`SourceFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

impl FileId {
    fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("an estate has fewer than four billion files"))
    }
}

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub file: FileId,
    pub span: Span,
}

/// One file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Relative to the estate, with forward slashes.
    pub path: Arc<str>,
    pub text: Arc<str>,
}

/// Every file that was read, in order of path.
#[derive(Clone, Debug, Default)]
pub struct SourceFiles {
    files: Vec<SourceFile>,
}

impl SourceFiles {
    pub fn add(&mut self, path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        let id = FileId::at(self.files.len());
        self.files.push(SourceFile { path: path.into(), text: text.into() });
        id
    }

    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(index, file)| (FileId::at(index), file))
    }

    /// The place of an expression within a text, where it stands there as it is; else the whole text's.
    pub fn within(&self, origin: Origin, expression: &str) -> Origin {
        let text = &self.get(origin.file).text;
        let (start, end) = (origin.span.start as usize, origin.span.end as usize);
        let found = text.get(start..end).filter(|_| !expression.is_empty()).and_then(|text| text.find(expression));
        let byte = |at: usize| u32::try_from(at).ok();
        let span =
            found.and_then(|at| Some(Span { start: byte(start + at)?, end: byte(start + at + expression.len())? }));
        Origin { span: span.unwrap_or(origin.span), ..origin }
    }

    /// Line and column of a byte, both counted from 1; the column in characters.
    pub fn line_column(&self, origin: Origin) -> (usize, usize) {
        let text = &self.get(origin.file).text;
        let before = &text[..text.floor_char_boundary(origin.span.start as usize)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
