/// A token of the text form.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// `%name`, `@name` or `#name`.
    Sigil(char, String),
    /// Letters, digits, `_`, `.`; also numbers with their signs.
    Word(&'t str),
    /// `"..."`
    Text(String),
    /// `{...}` with everything in it; the graph's own braces are [`Token::Open`] and `}`.
    Table(&'t str),
    /// The `{` that ends a line.
    Open,
    /// Any other character.
    Punct(char),
}

/// A position in the text, from 1.
pub(super) type Line = usize;

/// Cuts the text into tokens with the lines they stand on.
pub(super) fn lex(text: &str) -> Result<Vec<(Token<'_>, Line)>, (Line, String)> {
    let mut tokens = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(c) = rest.chars().next() {
            if c == ';' {
                break;
            }
            let (token, used) = token(c, rest).map_err(|why| (i + 1, why))?;
            tokens.push((token, i + 1));
            rest = rest[used..].trim_start();
        }
    }
    Ok(tokens)
}

fn token(c: char, rest: &str) -> Result<(Token<'_>, usize), String> {
    let word = |s: &str| {
        s.find(|c: char| !(c.is_ascii_alphanumeric() || "_.+-".contains(c))).unwrap_or(s.len())
    };
    match c {
        '%' | '@' | '#' => {
            if rest[1..].starts_with('"') {
                let (name, used) = text(&rest[1..])?;
                return Ok((Token::Sigil(c, name), used + 1));
            }
            let end = rest[1..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || "_.$/:-".contains(c)))
                .unwrap_or(rest.len() - 1);
            if end == 0 {
                return Err(format!("`{c}` without a name"));
            }
            Ok((Token::Sigil(c, rest[1..=end].to_owned()), end + 1))
        }
        '"' => text(rest).map(|(s, used)| (Token::Text(s), used)),
        '{' => {
            let tail = rest[1..].trim_start();
            if tail.is_empty() || tail.starts_with(';') {
                return Ok((Token::Open, 1));
            }
            let end = table_end(rest).ok_or("`{` without `}` on its line")?;
            Ok((Token::Table(&rest[..end]), end))
        }
        c if c.is_ascii_alphanumeric() || "_.+-".contains(c) => {
            let end = word(rest);
            Ok((Token::Word(&rest[..end]), end))
        }
        c => Ok((Token::Punct(c), c.len_utf8())),
    }
}

/// A quoted text and its length in the source.
fn text(rest: &str) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, at + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((at, 'u')) => {
                    let code = rest[at + 1..].strip_prefix('{').and_then(|s| s.split_once('}'));
                    let c = code
                        .and_then(|(hex, _)| u32::from_str_radix(hex, 16).ok())
                        .and_then(char::from_u32)
                        .ok_or("a bad \\u{..} escape")?;
                    out.push(c);
                    chars.find(|(_, c)| *c == '}');
                }
                Some((_, c)) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("`\"` without an end on its line".to_owned())
}

/// Length of a braced table, braces in strings not counted.
fn table_end(rest: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (i, c) in rest.char_indices() {
        match (in_text, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_text = !in_text,
            (false, '{') => depth += 1,
            (false, '}') => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}
