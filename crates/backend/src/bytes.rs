/// A number of bytes: `65536`, `64K`, `1M`.
///
/// # Errors
/// That it is none.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.trim_end_matches(['B', 'b']) {
        t if t.ends_with(['K', 'k']) => (&t[..t.len() - 1], 1024),
        t if t.ends_with(['M', 'm']) => (&t[..t.len() - 1], 1024 * 1024),
        t => (t, 1),
    };
    let number: Option<usize> = digits.trim().parse().ok();
    number
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| format!("`{text}` is no number of bytes; write it as 65536, 64K or 1M"))
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert_eq!(parse_bytes("2 MB"), Ok(2 << 20));
        assert!(
            parse_bytes("K").is_err()
                && parse_bytes("-1").is_err()
                && parse_bytes("99999999999999999999M").is_err()
        );
    }
}
