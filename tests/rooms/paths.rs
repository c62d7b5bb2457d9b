//! The paths that a source file names. Not a Rust parser: only what tells paths from everything else.

/// One path, as far as it leads.
#[derive(Debug, PartialEq)]
pub struct Named {
    /// Within the crate without `crate`; outside with the crate's name first.
    pub path: Vec<String>,
    /// Whether it leads into the crate.
    pub inside: bool,
    /// Whether only tests name it.
    pub in_test: bool,
    /// Counted from 1.
    pub line: usize,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Colons,
    Sign(char),
}

/// Every path of two names or more, and every name in a `use` tree.
pub fn paths(module: &[String], text: &str) -> Vec<Named> {
    let tokens = tokens(text);
    let is_test_file = module.iter().any(|name| name == "tests");
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        module: module.to_vec(),
        depth: 0,
        inner: Vec::new(),
        test: is_test_file,
        found: Vec::new(),
    };
    reader.read();
    reader.found
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    module: Vec<String>,
    /// Open braces.
    depth: usize,
    /// Inline modules: the depth outside, and whether tests began with it.
    inner: Vec<(usize, bool)>,
    test: bool,
    found: Vec<Named>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut for_test = false;
        while self.at < self.tokens.len() {
            match &self.tokens[self.at].0 {
                Token::Sign('#') if self.is_cfg_test() => {
                    for_test = true;
                    self.at += 7;
                }
                Token::Word(word) if word == "mod" => {
                    if let (Some(Token::Word(name)), Some(Token::Sign('{'))) = (self.token(1), self.token(2)) {
                        self.module.push(name.clone());
                        self.inner.push((self.depth, for_test && !self.test));
                        self.test |= for_test;
                        self.depth += 1;
                        self.at += 3;
                    } else {
                        self.at += 1;
                    }
                    for_test = false;
                }
                Token::Word(word) if word == "use" => {
                    self.at += 1;
                    self.skip(&Token::Colons);
                    self.tree(&[], true);
                }
                Token::Word(_) => self.tree(&[], false),
                Token::Sign('{') => {
                    self.depth += 1;
                    self.at += 1;
                }
                Token::Sign('}') => {
                    self.depth = self.depth.saturating_sub(1);
                    if let Some((_, began)) = self.inner.pop_if(|(depth, _)| *depth == self.depth) {
                        self.module.pop();
                        self.test &= !began;
                    }
                    self.at += 1;
                }
                // What follows a double colon goes on from something else: a type's own name, or `<T as Trait>`.
                Token::Colons if matches!(self.token(1), Some(Token::Word(_))) => self.at += 2,
                // A method's or field's name is no path.
                Token::Sign('.') if matches!(self.token(1), Some(Token::Word(_))) => self.at += 2,
                Token::Colons | Token::Sign(_) => self.at += 1,
            }
        }
    }

    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn skip(&mut self, token: &Token) -> bool {
        let is_it = self.token(0) == Some(token);
        self.at += usize::from(is_it);
        is_it
    }

    fn is_cfg_test(&self) -> bool {
        let word = |ahead: usize, word: &str| matches!(self.token(ahead), Some(Token::Word(found)) if found == word);
        let sign = |ahead: usize, sign: char| self.token(ahead) == Some(&Token::Sign(sign));
        sign(1, '[') && word(2, "cfg") && sign(3, '(') && word(4, "test") && sign(5, ')') && sign(6, ']')
    }

    /// Reads a path, and in a `use` what it branches into.
    fn tree(&mut self, before: &[String], in_use: bool) {
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        let mut path = before.to_vec();
        loop {
            match self.token(0) {
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    self.at += 1;
                }
                Some(Token::Sign('*')) if in_use => self.at += 1,
                Some(Token::Sign('{')) if in_use => {
                    self.at += 1;
                    while !matches!(self.token(0), None | Some(Token::Sign('}'))) {
                        let start = self.at;
                        self.tree(&path, true);
                        self.skip(&Token::Sign(','));
                        // Whatever this cannot be, it must not be read forever.
                        self.at += usize::from(self.at == start);
                    }
                    self.skip(&Token::Sign('}'));
                    return;
                }
                _ => break,
            }
            if !self.skip(&Token::Colons) {
                break;
            }
        }
        if in_use && matches!(self.token(0), Some(Token::Word(word)) if word == "as") {
            self.at += 2;
        }
        if in_use || path.len() > 1 {
            self.name(path, line);
        }
    }

    fn name(&mut self, path: Vec<String>, line: usize) {
        let mut steps = path.into_iter().peekable();
        let mut inside = None;
        while let Some(step) = steps.peek() {
            inside = match (step.as_str(), inside.take()) {
                ("crate" | "tenantry", None) => Some(Vec::new()),
                ("self", None) => Some(self.module.clone()),
                ("self", Some(within)) => Some(within),
                ("super", within) => {
                    let mut within: Vec<String> = within.unwrap_or_else(|| self.module.clone());
                    within.pop();
                    Some(within)
                }
                (_, within) => {
                    inside = within;
                    break;
                }
            };
            steps.next();
        }
        let is_inside = inside.is_some();
        let mut path = inside.unwrap_or_default();
        path.extend(steps.filter(|step| step != "self"));
        self.found.push(Named { path, inside: is_inside, in_test: self.test, line });
    }
}

/// Words, double colons and signs, each with its line. Comments, texts, characters, lifetimes and numbers are left out.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let characters: Vec<char> = text.chars().collect();
    let get = |at: usize| characters.get(at).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < characters.len() {
        let start = at;
        match get(at) {
            '/' if get(at + 1) == '/' => {
                while at < characters.len() && get(at) != '\n' {
                    at += 1;
                }
            }
            '/' if get(at + 1) == '*' => at = end_of_comment(&get, at, characters.len()),
            '"' => at = end_of_text(&get, at + 1, characters.len()),
            'r' | 'b' | 'c' if text_begins(&get, at).is_some() => {
                let (open, hashes) = text_begins(&get, at).expect("just seen");
                at = match hashes {
                    None => end_of_text(&get, open + 1, characters.len()),
                    Some(hashes) => end_of_raw_text(&get, open + 1, hashes, characters.len()),
                };
            }
            '\'' if get(at + 1) == '\\' => {
                at += 3;
                while at < characters.len() && get(at) != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if get(at + 2) == '\'' => at += 3,
            // A lifetime or a label.
            '\'' => {
                at += 1;
                while is_of_word(get(at)) {
                    at += 1;
                }
            }
            ':' if get(at + 1) == ':' => {
                tokens.push((Token::Colons, line));
                at += 2;
            }
            first if first.is_alphabetic() || first == '_' => {
                while is_of_word(get(at)) {
                    at += 1;
                }
                tokens.push((Token::Word(characters[start..at].iter().collect()), line));
            }
            first if first.is_ascii_digit() => {
                while is_of_word(get(at)) {
                    at += 1;
                }
            }
            other => {
                if !other.is_whitespace() {
                    tokens.push((Token::Sign(other), line));
                }
                at += 1;
            }
        }
        line += characters[start..at.min(characters.len())].iter().filter(|character| **character == '\n').count();
    }
    tokens
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where the quote of a text with a prefix stands, and the hashes before it if the text is raw.
fn text_begins(get: &impl Fn(usize) -> char, start: usize) -> Option<(usize, Option<usize>)> {
    let mut at = start;
    while matches!(get(at), 'b' | 'c' | 'r') && at < start + 2 {
        at += 1;
    }
    let is_raw = (start..at).any(|at| get(at) == 'r');
    let mut hashes = 0;
    while is_raw && get(at) == '#' {
        at += 1;
        hashes += 1;
    }
    (get(at) == '"').then_some((at, is_raw.then_some(hashes)))
}

fn end_of_text(get: &impl Fn(usize) -> char, mut at: usize, end: usize) -> usize {
    while at < end && get(at) != '"' {
        at += if get(at) == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw_text(get: &impl Fn(usize) -> char, mut at: usize, hashes: usize, end: usize) -> usize {
    while at < end && !(get(at) == '"' && (1..=hashes).all(|ahead| get(at + ahead) == '#')) {
        at += 1;
    }
    at + 1 + hashes
}

fn end_of_comment(get: &impl Fn(usize) -> char, mut at: usize, end: usize) -> usize {
    let mut depth = 0_usize;
    while at < end {
        match (get(at), get(at + 1)) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}
