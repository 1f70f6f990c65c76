//! Patterns of one path component: `*`, `?`, `[…]`, and `**` for any number of components.

/// One component of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// `**`: this directory and all below it.
    Any,
    /// A name with or without wildcards.
    Name(NamePattern),
}

/// A pattern for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamePattern(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Many,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// Whether `part` has a wildcard in it.
pub(super) fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

impl Segment {
    pub(super) fn parse(part: &str) -> Result<Self, &'static str> {
        if part == "**" {
            return Ok(Self::Any);
        }
        if part.contains("**") {
            return Err("`**` stands alone between slashes; use `*` within a name");
        }
        let mut tokens = Vec::new();
        let mut chars = part.chars();
        while let Some(next) = chars.next() {
            tokens.push(match next {
                '*' => Token::Many,
                '?' => Token::One,
                '[' => class(&mut chars)?,
                literal => Token::Literal(literal),
            });
        }
        Ok(Self::Name(NamePattern(tokens)))
    }
}

/// The rest of `[abc]`, `[a-z]` or `[!a]`; a `]` that comes first is a member.
fn class(chars: &mut std::str::Chars<'_>) -> Result<Token, &'static str> {
    const OPEN: &str = "a `[` has no `]`";
    let rest = chars.as_str();
    let (negated, body) = match rest.strip_prefix(['!', '^']) {
        Some(body) => (true, body),
        None => (false, rest),
    };
    let first = body.chars().next().ok_or(OPEN)?.len_utf8();
    let end = body.get(first..).and_then(|tail| tail.find(']')).ok_or(OPEN)? + first;
    let members: Vec<char> = body.get(..end).unwrap_or_default().chars().collect();
    *chars = body.get(end + 1..).unwrap_or_default().chars();
    let mut ranges = Vec::new();
    let mut members = members.as_slice();
    loop {
        members = match members {
            [] => break,
            [from, '-', to, tail @ ..] => {
                ranges.push((*from, *to));
                tail
            }
            [one, tail @ ..] => {
                ranges.push((*one, *one));
                tail
            }
        };
    }
    Ok(Token::Class { negated, ranges })
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(from, to)| (from..=to).contains(&c)) != *negated
            }
        }
    }
}

impl NamePattern {
    /// Whether the whole of `name` matches. Takes time in proportion to pattern × name: after a
    /// mismatch only the last `*` is tried again, one character further on.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut token) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(token), name.get(at)) {
                (None, None) => return true,
                (Some(Token::Many), _) => {
                    retry = Some((at, token));
                    token += 1;
                }
                (Some(wanted), Some(&c)) if wanted.takes(c) => {
                    at += 1;
                    token += 1;
                }
                _ => match retry {
                    Some((from, star)) if from < name.len() => {
                        retry = Some((from + 1, star));
                        (at, token) = (from + 1, star + 1);
                    }
                    _ => return false,
                },
            }
        }
    }
}
