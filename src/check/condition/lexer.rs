//! Splits a condition into words, quoted texts and signs. Pure.

use crate::check::condition::Comparison;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Characters up to white space, a sign, a quote or a parenthesis.
    Word(String),
    /// A text in double or single quotes, without them.
    Quoted(String),
    Open,
    Close,
    Sign(Comparison),
    End,
}

/// A token and the number of its first character, from 1.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
    /// As it is written.
    pub(super) source: String,
}

/// Splits a text. The last token is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, String> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut next = 0;
    while let Some(first) = characters.get(next).copied() {
        let start = next;
        let token = match first {
            _ if first.is_whitespace() => {
                next += 1;
                continue;
            }
            '(' | ')' => {
                next += 1;
                if first == '(' { Token::Open } else { Token::Close }
            }
            '"' | '\'' => {
                let end = characters[start + 1..].iter().position(|c| *c == first);
                let end = end.ok_or_else(|| format!("the quote at character {} is not closed", start + 1))?;
                next = start + end + 2;
                Token::Quoted(characters[start + 1..=start + end].iter().collect())
            }
            _ if is_sign(first) => {
                let two: String = characters[start..].iter().take(2).collect();
                let sign = Comparison::SIGNS.iter().find(|(sign, _)| two.starts_with(sign));
                let (sign, comparison) =
                    sign.ok_or_else(|| format!("unexpected {first} at character {}", start + 1))?;
                next += sign.len();
                Token::Sign(*comparison)
            }
            _ => {
                let ends = |c: &char| c.is_whitespace() || is_sign(*c) || "()\"'".contains(*c);
                next = characters[start..].iter().position(ends).map_or(characters.len(), |length| start + length);
                Token::Word(characters[start..next].iter().collect())
            }
        };
        tokens.push(Placed { token, at: start + 1, source: characters[start..next].iter().collect() });
    }
    tokens.push(Placed { token: Token::End, at: characters.len() + 1, source: String::new() });
    Ok(tokens)
}

fn is_sign(c: char) -> bool {
    "<>=!".contains(c)
}
