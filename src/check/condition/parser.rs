//! Parses conditions. Every error is one sentence with the place, what was expected there, and the nearest known word. Pure.
//!
//! ```text
//! condition  = "no" "missing" "parents" [ "where" filters ]
//!            | measure sign limit
//! measure    = aggregate "(" [ kind ] "duration" [ "where" filters ] ")"
//!            | ( "spans" | "count" | "errors" ) [ kind | "(" selection ")" ] [ "where" filters ] [ "per" "trace" ]
//!            | "rate" "(" "errors" selection ")"
//! selection  = [ kind ] [ [ "where" ] filters ]
//! filters    = attribute sign value { "and" attribute sign value }
//! ```

use crate::base::suggest::nearest;
use crate::check::condition::lexer::{Placed, Token, tokens};
use crate::check::condition::{
    Aggregate, Attribute, Comparison, Condition, Filter, Measure, Per, Rule, Selection, SpanKind,
};

/// The longest condition, in characters.
const MAX_LENGTH: usize = 2000;

/// The first words of a condition. `p95` stands for every percentile.
const MEASURES: [&str; 13] =
    ["p50", "p75", "p90", "p95", "p99", "p99.9", "avg", "min", "max", "count", "spans", "errors", "rate"];

/// The words for spans, beside OpenTelemetry's kinds.
const SPANS: [(&str, SpanKind); 7] = [
    ("span", SpanKind::Any),
    ("root", SpanKind::Root),
    ("session", SpanKind::Session),
    ("navigation", SpanKind::Navigation),
    ("request", SpanKind::Request),
    ("test", SpanKind::Test),
    ("step", SpanKind::Step),
];

const KINDS: [&str; 5] = ["server", "client", "producer", "consumer", "internal"];

/// The areas of OpenTelemetry's conventions whose spans are known by their attributes.
const AREAS: [&str; 4] = ["http", "db", "rpc", "messaging"];

/// Short words for attributes, with the key of today's conventions first.
const SHORT: [(&str, &[&str]); 4] = [
    ("method", &["http.request.method", "http.method"]),
    ("route", &["http.route"]),
    ("status", &["http.response.status_code", "http.status_code"]),
    ("url", &["url.full", "http.url"]),
];

/// Units of time in nanoseconds.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10)];

pub(super) fn parse(text: &str) -> Result<Condition, String> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(format!("it has {length} characters, and may have {MAX_LENGTH}"));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0 };
    let rule = parser.rule()?;
    if parser.peek().token != Token::End {
        return Err(parser.unexpected("the end of the condition", []));
    }
    Ok(Condition { text: text.split_whitespace().collect::<Vec<_>>().join(" "), rule })
}

struct Parser {
    /// Ends with [`Token::End`].
    tokens: Vec<Placed>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Placed {
        &self.tokens[self.next]
    }

    fn word(&self) -> Option<&str> {
        if let Token::Word(word) = &self.peek().token { Some(word) } else { None }
    }

    fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    /// Passes over a word, if it is the next one.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.word() == Some(word);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn expect_word(&mut self, word: &'static str) -> Result<(), String> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected(word, [word])) }
    }

    fn expect(&mut self, token: &Token, name: &str) -> Result<(), String> {
        if self.peek().token != *token {
            return Err(self.unexpected(name, []));
        }
        self.advance();
        Ok(())
    }

    /// Says what was expected at the next token. `known` are the words that it may have been meant to be.
    fn unexpected<'a>(&self, expected: &str, known: impl IntoIterator<Item = &'a str>) -> String {
        let Placed { token, at, source } = self.peek();
        let place =
            if *token == Token::End { "at the end".to_owned() } else { format!("at character {at}, not {source}") };
        let hint = self
            .word()
            .and_then(|word| nearest(word, known).filter(|near| *near != word))
            .map(|near| format!("; did you mean {near}?"));
        format!("expected {expected} {place}{}", hint.unwrap_or_default())
    }

    fn rule(&mut self) -> Result<Rule, String> {
        if self.takes("no") {
            self.expect_word("missing")?;
            self.expect_word("parents")?;
            return Ok(Rule::NoMissingParents(Selection { kind: SpanKind::Any, filters: self.filters_after_where()? }));
        }
        let (measure, spans) = self.measure()?;
        let Token::Sign(comparison) = self.peek().token else {
            return Err(self.unexpected("a comparison (<, <=, ==, !=, >=, >)", ["where", "and", "per"]));
        };
        self.advance();
        let limit = self.limit(measure)?;
        Ok(Rule::Measure { measure, spans, comparison, limit })
    }

    fn measure(&mut self) -> Result<(Measure, Selection), String> {
        let word = self.word().unwrap_or_default().to_owned();
        let aggregate = match word.as_str() {
            "spans" | "count" | "errors" => {
                self.advance();
                return self.counted(word == "errors");
            }
            "rate" => {
                self.advance();
                self.expect(&Token::Open, "(")?;
                self.expect_word("errors")?;
                let spans = self.selection()?;
                self.expect(&Token::Close, "and, or )")?;
                return Ok((Measure::ErrorRate, spans));
            }
            "avg" => Aggregate::Average,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            _ => {
                let digits = word.strip_prefix('p').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
                let number = digits.and_then(|digits| digits.parse::<f64>().ok());
                match number {
                    Some(number) if number > 0.0 && number < 100.0 => Aggregate::Percentile(number),
                    Some(_) => return Err(self.unexpected("a percentile between p0 and p100", [])),
                    None => {
                        let expected = "a measure (p50 to p99.9, avg, min, max, count, spans, errors, rate, or no missing parents)";
                        return Err(self.unexpected(expected, MEASURES.into_iter().chain(["no"])));
                    }
                }
            }
        };
        self.advance();
        self.expect(&Token::Open, &format!("( after {word}"))?;
        let kind = self.kind()?;
        self.expect_word("duration")?;
        let filters = self.filters_after_where()?;
        self.expect(&Token::Close, "and, where, or )")?;
        Ok((Measure::Duration(aggregate), Selection { kind, filters }))
    }

    /// Parses what follows `spans` or `errors`: the kind of spans or `(…)`, `where …` and `per trace`, each of which may be missing.
    fn counted(&mut self, errors: bool) -> Result<(Measure, Selection), String> {
        let mut spans = Selection::default();
        if self.peek().token == Token::Open {
            self.advance();
            spans = self.selection()?;
            self.expect(&Token::Close, "and, or )")?;
        } else if self.word().is_some() {
            spans.kind = self.kind()?;
        }
        spans.filters.extend(self.filters_after_where()?);
        let per = if self.takes("per") {
            self.expect_word("trace")?;
            Per::Trace
        } else {
            Per::Run
        };
        Ok((if errors { Measure::Errors(per) } else { Measure::Count(per) }, spans))
    }

    /// Parses spans and filters in parentheses, of which each may be missing, and so may `where`.
    fn selection(&mut self) -> Result<Selection, String> {
        let kind = if self.is_at_filter() { SpanKind::Any } else { self.kind()? };
        let filters = if self.is_at_filter() { self.filters()? } else { self.filters_after_where()? };
        Ok(Selection { kind, filters })
    }

    /// Returns whether the next word is an attribute that is compared.
    fn is_at_filter(&self) -> bool {
        let follows = self.tokens.get(self.next + 1).is_some_and(|next| matches!(next.token, Token::Sign(_)));
        follows && matches!(self.peek().token, Token::Word(_) | Token::Quoted(_))
    }

    /// Parses the word for a kind of spans. Without one it is any.
    fn kind(&mut self) -> Result<SpanKind, String> {
        let Some(word) = self.word().filter(|word| !["duration", "where", "per"].contains(word)) else {
            return Ok(SpanKind::Any);
        };
        let (area, name) = word.rsplit_once('.').unwrap_or(("", word));
        let known_area = AREAS.into_iter().find(|known| *known == area);
        let kind = KINDS.into_iter().find(|kind| *kind == name && (area.is_empty() || known_area.is_some()));
        let kind = kind.map(|kind| SpanKind::Kind { kind, area: known_area.unwrap_or_default() });
        let own = SPANS.iter().find(|(own, _)| *own == word).map(|(_, kind)| *kind);
        let Some(kind) = kind.or(own) else {
            let of_areas =
                ["http", "db", "rpc"].into_iter().flat_map(|area| KINDS.map(|kind| format!("{area}.{kind}")));
            let names: Vec<String> = of_areas.collect();
            let known = SPANS.iter().map(|(own, _)| *own).chain(KINDS).chain(names.iter().map(String::as_str));
            return Err(self.unexpected(
                "where, or a kind of spans (such as http.server, client, navigation, root)",
                known.chain(["duration", "where", "per"]),
            ));
        };
        self.advance();
        Ok(kind)
    }

    fn filters_after_where(&mut self) -> Result<Vec<Filter>, String> {
        if self.takes("where") { self.filters() } else { Ok(Vec::new()) }
    }

    fn filters(&mut self) -> Result<Vec<Filter>, String> {
        let mut filters = vec![self.filter()?];
        while self.takes("and") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }

    fn filter(&mut self) -> Result<Filter, String> {
        let attribute = self.attribute()?;
        let Token::Sign(comparison) = self.peek().token else {
            return Err(self.unexpected("a comparison of the attribute, such as =", []));
        };
        self.advance();
        let value = match &self.peek().token {
            Token::Word(value) | Token::Quoted(value) => value.clone(),
            _ => return Err(self.unexpected("a value (in quotes, if it has spaces or signs)", [])),
        };
        let is_size = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if is_size && !value.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(self.unexpected("a number", []));
        }
        self.advance();
        Ok(Filter { attribute, comparison, value })
    }

    fn attribute(&mut self) -> Result<Attribute, String> {
        let short = SHORT.iter().map(|(word, _)| *word);
        let known = short.chain(["name", "service", "test"]);
        let expected =
            "an attribute (service, route, method, status, url, name, test, or a key such as db.system.name)";
        let attribute = match &self.peek().token {
            Token::Word(word) => match word.as_str() {
                "name" => Attribute::Name,
                "service" | "service.name" => Attribute::Service,
                "test" => Attribute::Test,
                word => match SHORT.iter().find(|(short, _)| *short == word) {
                    Some((_, keys)) => Attribute::Keys(keys.iter().map(|key| (*key).to_owned()).collect()),
                    // Attributes without a dot are rare, and typing errors are not.
                    None if !word.contains('.') => return Err(self.unexpected(expected, known)),
                    None => Attribute::Keys(vec![word.to_owned()]),
                },
            },
            Token::Quoted(key) => Attribute::Keys(vec![key.clone()]),
            _ => return Err(self.unexpected(expected, [])),
        };
        self.advance();
        Ok(attribute)
    }

    fn limit(&mut self, measure: Measure) -> Result<f64, String> {
        let word = self.word().unwrap_or_default();
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, unit) = word.split_at(digits);
        let (limit, expected) = match measure {
            Measure::Duration(_) => {
                let unit = UNITS.iter().find(|(name, _)| *name == unit);
                (unit.and_then(|(_, nanos)| Some(number(digits)? * nanos)), "a duration with its unit, such as 300ms")
            }
            Measure::ErrorRate => {
                let share = match unit {
                    "%" => number(digits).map(|percent| percent / 100.0),
                    "" => number(digits),
                    _ => None,
                };
                (share.filter(|share| *share <= 1.0), "a share, such as 1% or 0.01")
            }
            Measure::Count(_) | Measure::Errors(_) => {
                (number(digits).filter(|number| unit.is_empty() && number.fract() == 0.0), "a whole number")
            }
        };
        let limit = limit.ok_or_else(|| self.unexpected(expected, []))?;
        self.advance();
        Ok(limit)
    }
}
