//! A lexer for Rust that is just good enough to tell code from strings, characters and comments.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword too.
    Ident,
    /// One character, or `::`.
    Punct,
    /// A string, character or number; its text is not kept.
    Literal,
    Lifetime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// The tokens of a file, without its comments.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, line: 1 };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.peek(0) {
        let (line, start) = (lexer.line, lexer.at);
        if let Some(kind) = lexer.next_token(c) {
            let text = match kind {
                Kind::Literal => String::new(),
                _ => lexer.chars[start..lexer.at].iter().collect(),
            };
            tokens.push(Token { kind, text, line });
        }
    }
    tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.skip(1);
        }
    }

    /// Goes past the next thing, which starts with `c`; `None` for a space or a comment.
    fn next_token(&mut self, c: char) -> Option<Kind> {
        if c.is_whitespace() {
            self.skip(1);
            return None;
        }
        if self.starts_with("//") {
            self.skip_while(|c| c != '\n');
            return None;
        }
        if self.starts_with("/*") {
            self.block_comment();
            return None;
        }
        if let Some(prefix) = self.raw_string_prefix() {
            return Some(self.raw_string(prefix));
        }
        Some(match c {
            '"' => self.quoted('"'),
            'b' | 'c' if self.peek(1) == Some('"') => self.prefixed('"'),
            'b' if self.peek(1) == Some('\'') => self.prefixed('\''),
            '\'' if self.peek(1) == Some('\\') || self.peek(2) == Some('\'') => self.quoted('\''),
            '\'' => self.word(1, Kind::Lifetime),
            'r' if self.peek(1) == Some('#') => self.word(2, Kind::Ident),
            c if c == '_' || c.is_alphabetic() => self.word(0, Kind::Ident),
            c if c.is_ascii_digit() => self.word(0, Kind::Literal),
            _ => {
                self.skip(if self.starts_with("::") { 2 } else { 1 });
                Kind::Punct
            }
        })
    }

    fn word(&mut self, prefix: usize, kind: Kind) -> Kind {
        self.skip(prefix);
        self.skip_while(|c| c == '_' || c.is_alphanumeric());
        kind
    }

    fn prefixed(&mut self, quote: char) -> Kind {
        self.skip(1);
        self.quoted(quote)
    }

    fn quoted(&mut self, quote: char) -> Kind {
        self.skip(1);
        while let Some(c) = self.peek(0) {
            self.skip(if c == '\\' { 2 } else { 1 });
            if c == quote {
                break;
            }
        }
        Kind::Literal
    }

    /// The length of an `r`, `br` or `cr` and the hashes after it, if a raw string starts here.
    fn raw_string_prefix(&self) -> Option<(usize, usize)> {
        let letters = ["r", "br", "cr"].into_iter().find(|letters| self.starts_with(letters))?.len();
        let hashes = (letters..).take_while(|i| self.peek(*i) == Some('#')).count();
        (self.peek(letters + hashes) == Some('"')).then_some((letters, hashes))
    }

    fn raw_string(&mut self, (letters, hashes): (usize, usize)) -> Kind {
        let end = format!("\"{}", "#".repeat(hashes));
        self.skip(letters + hashes + 1);
        while self.peek(0).is_some() && !self.starts_with(&end) {
            self.skip(1);
        }
        self.skip(end.len());
        Kind::Literal
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            if self.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                self.skip(1);
            }
            if depth == 0 {
                break;
            }
        }
    }
}

#[test]
fn strings_characters_and_comments_are_not_code() {
    let text = r####"
        a // b { "
        /* c /* d } */ e */ f
        "g { \" h" b"i {" c"j" 'k' '{' '\'' b'}' '\u{7b}' 'ü'
        r"l \" m r#"n " o"# br##"p "# q"## cr"{"
        'static r#fn _s 0x1f..1_000.5e3
    "####;
    let words: Vec<_> = tokens(text).into_iter().filter(|token| token.kind != Kind::Literal).collect();
    let told: Vec<_> = words.iter().map(|token| (token.text.as_str(), token.line)).collect();
    let expected =
        [("a", 2), ("f", 3), ("m", 5), ("'static", 6), ("r#fn", 6), ("_s", 6), (".", 6), (".", 6), (".", 6)];
    assert_eq!(told, expected);
}
