//! Would the output be read as input? Decided on the text of the two paths alone.

/// Whether a file written below the folder `output` could be matched by the input `pattern`,
/// or the input lies inside the output. Both are absolute and normalised; `{…}` placeholders
/// in `pattern` stand for any text.
pub(super) fn overlaps(pattern: &str, output: &str) -> bool {
    let pattern: Vec<&str> = steps(pattern);
    let output: Vec<&str> = steps(output);
    let mut varies = false;
    for (at, step) in pattern.iter().enumerate() {
        if *step == "**" {
            return true;
        }
        match output.get(at) {
            // Everything below the output folder is ours: input there would be our own files.
            None => return true,
            // Inside a folder that the pattern picks, as `date=2013-01-01/out`: not read today,
            // but a folder of input is no place for output. A fixed folder beside the files, as
            // `out` beside `*.parquet`, is where people do put it.
            Some(folder) if !step_matches(step, folder) => {
                return varies && at + 1 == pattern.len();
            }
            Some(_) => varies |= step.contains(['*', '?', '{', '[']),
        }
    }
    // The whole pattern matches a folder at or above the output: a folder is read recursively.
    true
}

fn steps(path: &str) -> Vec<&str> {
    path.split('/').filter(|step| !step.is_empty()).collect()
}

/// Whether one step of a pattern (`*`, `?`, `{placeholder}`, `[…]` as any one character)
/// matches one folder name; errs on the side of yes.
fn step_matches(pattern: &str, name: &str) -> bool {
    let tokens = tokens(pattern);
    // reach[i]: the first i tokens can match the text read so far.
    let mut reach = vec![false; tokens.len() + 1];
    reach[0] = true;
    spread(&tokens, &mut reach);
    for c in name.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (i, token) in tokens.iter().enumerate() {
            if reach[i] {
                match token {
                    Token::Many => next[i] = true,
                    Token::One => next[i + 1] = true,
                    Token::Char(wanted) if *wanted == c => next[i + 1] = true,
                    Token::Char(_) => {}
                }
            }
        }
        spread(&tokens, &mut next);
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

/// `Many` also matches nothing.
fn spread(tokens: &[Token], reach: &mut [bool]) {
    for (i, token) in tokens.iter().enumerate() {
        if reach[i] && matches!(token, Token::Many) {
            reach[i + 1] = true;
        }
    }
}

enum Token {
    Many,
    One,
    Char(char),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Many,
            '?' => Token::One,
            '{' => {
                chars.by_ref().find(|&c| c == '}');
                Token::Many
            }
            '[' => {
                chars.by_ref().find(|&c| c == ']');
                Token::One
            }
            c => Token::Char(c),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::overlaps;

    #[test]
    fn an_output_that_the_input_pattern_matches_is_found() {
        for (pattern, output) in [
            ("/d/date={date}/*.parquet", "/d/date=2013-01-01"),
            ("/d/date={date}/*.parquet", "/d/date=x/out"),
            ("/d", "/d"),
            ("/d", "/d/out"),
            ("/d/**/*.parquet", "/d/out"),
            ("/d/*", "/d/out"),
            ("/out/in/*.parquet", "/out"),
            ("/out/date={date}/a.parquet", "/out"),
        ] {
            assert!(overlaps(pattern, output), "{pattern} and {output}");
        }
    }

    #[test]
    fn neighbours_do_not_overlap() {
        for (pattern, output) in [
            ("/d/date={date}/*.parquet", "/d/predictions"),
            ("/d/date={date}/*.parquet", "/out"),
            ("/d/flights.parquet", "/d/out"),
            ("/d/*.parquet", "/d/out"),
            ("/data", "/database"),
            ("/d/[ab]/x", "/d/cc"),
        ] {
            assert!(!overlaps(pattern, output), "{pattern} and {output}");
        }
    }
}
