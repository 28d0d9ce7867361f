//! The text form of protocol buffers, as far as network descriptions use it: a tree of named values.

/// A message: its fields in order; a field may stand several times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    pub(crate) fields: Vec<(String, Field)>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    /// A number, a word or a string, without its quotes.
    Word(String),
    Message(Tree),
}

/// What is wrong, and in which line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextError {
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl TextError {
    pub(crate) fn place(&self) -> String {
        format!("line {}", self.line)
    }
}

impl Tree {
    fn all<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t Field> + 't {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, f)| f)
    }

    /// The messages of this name.
    pub(crate) fn messages<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t Tree> + 't {
        self.all(name).filter_map(|f| match f {
            Field::Message(t) => Some(t),
            Field::Word(_) => None,
        })
    }

    /// The last message of this name.
    pub(crate) fn message(&self, name: &str) -> Option<&Tree> {
        self.fields.iter().rev().filter(|(n, _)| n == name).find_map(|(_, f)| match f {
            Field::Message(t) => Some(t),
            Field::Word(_) => None,
        })
    }

    /// The words of this name.
    pub(crate) fn words<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t str> + 't {
        self.all(name).filter_map(|f| match f {
            Field::Word(w) => Some(w.as_str()),
            Field::Message(_) => None,
        })
    }

    /// The last word of this name.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().filter(|(n, _)| n == name).find_map(|(_, f)| match f {
            Field::Word(w) => Some(w.as_str()),
            Field::Message(_) => None,
        })
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl Lexer<'_> {
    fn fail<T>(&self, why: impl Into<String>) -> Result<T, TextError> {
        Err(TextError { line: self.line, why: why.into() })
    }

    fn step(&mut self) -> Option<char> {
        let c = self.rest.next();
        if c == Some('\n') {
            self.line += 1;
        }
        c
    }

    fn next(&mut self) -> Result<Option<Token>, TextError> {
        loop {
            match self.rest.peek().copied() {
                None => return Ok(None),
                Some('#') => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.step();
                    }
                }
                Some(c) if c.is_whitespace() || c == ',' || c == ';' => {
                    self.step();
                }
                Some(quote @ ('"' | '\'')) => {
                    self.step();
                    let mut text = String::new();
                    loop {
                        match self.step() {
                            None | Some('\n') => return self.fail("a string does not end"),
                            Some(c) if c == quote => return Ok(Some(Token::Text(text))),
                            Some('\\') => match self.step() {
                                Some('n') => text.push('\n'),
                                Some('t') => text.push('\t'),
                                Some(c) => text.push(c),
                                None => return self.fail("a string does not end"),
                            },
                            Some(c) => text.push(c),
                        }
                    }
                }
                Some(c @ ('{' | '}' | '<' | '>' | ':' | '[' | ']')) => {
                    self.step();
                    return Ok(Some(Token::Sign(c)));
                }
                Some(c) if c.is_ascii_alphanumeric() || "_+-./".contains(c) => {
                    let mut word = String::new();
                    while let Some(&c) = self.rest.peek() {
                        if !(c.is_ascii_alphanumeric() || "_+-./".contains(c)) {
                            break;
                        }
                        word.push(c);
                        self.step();
                    }
                    return Ok(Some(Token::Word(word)));
                }
                Some(c) => return self.fail(format!("`{c}` is not expected")),
            }
        }
    }
}

/// How deep messages may nest.
const DEPTH: usize = 64;

/// Parses a whole description.
pub(crate) fn parse(text: &str) -> Result<Tree, TextError> {
    let mut lexer = Lexer { rest: text.chars().peekable(), line: 1 };
    // Messages that are open: their name, the sign that closes them, and what they hold so far.
    let mut open: Vec<(String, char, Tree)> = Vec::new();
    let mut tree = Tree::default();
    while let Some(token) = lexer.next()? {
        let name = match token {
            Token::Word(name) => name,
            Token::Sign(sign) => match open.pop() {
                Some((name, close, outer)) if sign == close => {
                    let inner = std::mem::replace(&mut tree, outer);
                    tree.fields.push((name, Field::Message(inner)));
                    continue;
                }
                _ => return lexer.fail(format!("`{sign}` is not expected")),
            },
            Token::Text(t) => return lexer.fail(format!("\"{t}\" is not expected")),
        };
        let mut token = lexer.next()?;
        if token == Some(Token::Sign(':')) {
            token = lexer.next()?;
        }
        match token {
            Some(Token::Sign(sign @ ('{' | '<'))) => {
                if open.len() >= DEPTH {
                    return lexer.fail(format!("messages nest deeper than {DEPTH}"));
                }
                let close = if sign == '{' { '}' } else { '>' };
                open.push((name, close, std::mem::take(&mut tree)));
            }
            Some(Token::Word(word) | Token::Text(word)) => {
                tree.fields.push((name, Field::Word(word)));
            }
            Some(Token::Sign('[')) => loop {
                match lexer.next()? {
                    Some(Token::Word(w) | Token::Text(w)) => {
                        tree.fields.push((name.clone(), Field::Word(w)));
                    }
                    Some(Token::Sign(']')) => break,
                    _ => return lexer.fail(format!("the list of `{name}` does not end")),
                }
            },
            _ => return lexer.fail(format!("`{name}` has no value")),
        }
    }
    match open.pop() {
        None => Ok(tree),
        Some((name, ..)) => lexer.fail(format!("the message `{name}` does not end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_becomes_a_tree() {
        let text = "name: 'n' # comment\nlayer { top: \"a\" top: \"b\" p <k: -1.5e-3> } l: [1, 2]";
        let tree = parse(text).unwrap();
        assert_eq!(tree.word("name"), Some("n"));
        let layer = tree.message("layer").unwrap();
        assert_eq!(layer.words("top").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(layer.message("p").unwrap().word("k"), Some("-1.5e-3"));
        assert_eq!(tree.words("l").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn faults_name_their_line() {
        for (text, line) in
            [("a {\nb: 1\n", 3), ("a: \"x\n\"", 2), ("}\n", 1), ("\na", 2), ("a: 1 >", 1), ("$", 1)]
        {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
        assert!(parse(&"a {".repeat(100_000)).is_err());
    }
}
