//! What is refused of a text before it is parsed.
//!
//! In: the text of an owner. Out: its tokens, bounded in number, in operators and in nesting, with
//! the placeholders replaced. A placeholder becomes one token, so that no name and no key, whatever
//! is in it, can change what the statement does. Nothing here recurses: a text that would exhaust
//! the stack of a parser is refused by counting.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::error::{At, QueryError};
use crate::request::Request;

/// Longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 10;
/// Most operators (`+`, `AND`, `IN`, `JOIN`, `WHEN` and the like) of a text.
pub const OPERATORS_MAX: usize = 500;
/// Deepest nesting of parentheses, brackets and `CASE`.
pub const DEPTH_MAX: usize = 64;
/// Most signs and `NOT`s in a row.
const PREFIXES_MAX: usize = 16;

fn at(token: &TokenWithSpan) -> Option<At> {
    let start = token.span.start;
    (start.line > 0).then_some(At {
        line: start.line,
        column: start.column,
    })
}

/// The tokens of a request's text with its placeholders replaced.
///
/// # Errors
/// [`QueryError::Refused`] beyond a bound, [`QueryError::Invalid`] for what is no SQL.
pub(crate) fn tokens(request: &Request) -> Result<Vec<TokenWithSpan>, QueryError> {
    let text = request.sql.as_str();
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("the query is {} bytes long", text.len());
        let next = format!("{TEXT_BYTES_MAX} are the most: keep long lists in a table and join it");
        return Err(QueryError::refused(None, what, next));
    }
    if let Some(bad) = text.chars().find(|c| is_unfit(*c)) {
        let what = format!("the character U+{:04X} is in the query", u32::from(bad));
        let next = "write it without control and direction characters";
        return Err(QueryError::refused(None, what, next));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| QueryError::Invalid {
        at: Some(At {
            line: error.location.line,
            column: error.location.column,
        }),
        what: error.message,
        next: "close what is opened".to_owned(),
    })?;
    let mut tokens: Vec<TokenWithSpan> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .collect();
    while tokens.last().is_some_and(|t| t.token == Token::SemiColon) {
        tokens.pop();
    }
    if tokens.is_empty() {
        let next = "write a SELECT";
        return Err(QueryError::refused(None, "there is no query", next));
    }
    bounded(&tokens)?;
    replaced(tokens, request)
}

/// Characters that change how a text is shown, or end it for some readers.
fn is_unfit(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// What a token does to the nesting.
fn nesting(token: &Token) -> i32 {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => 1,
        Token::RParen | Token::RBracket | Token::RBrace => -1,
        other => match keyword(other) {
            Some(Keyword::CASE) => 1,
            Some(Keyword::END) => -1,
            _ => 0,
        },
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::LParen
        | Token::RParen
        | Token::LBracket
        | Token::RBracket
        | Token::LBrace
        | Token::RBrace
        | Token::Placeholder(_) => matches!(
            keyword(token),
            Some(
                Keyword::AND
                    | Keyword::OR
                    | Keyword::NOT
                    | Keyword::XOR
                    | Keyword::IN
                    | Keyword::LIKE
                    | Keyword::ILIKE
                    | Keyword::RLIKE
                    | Keyword::REGEXP
                    | Keyword::SIMILAR
                    | Keyword::BETWEEN
                    | Keyword::IS
                    | Keyword::EXISTS
                    | Keyword::ANY
                    | Keyword::CASE
                    | Keyword::WHEN
                    | Keyword::JOIN
                    | Keyword::UNION
                    | Keyword::INTERSECT
                    | Keyword::EXCEPT
                    | Keyword::MINUS
                    | Keyword::DIV
                    | Keyword::INTERVAL
                    | Keyword::COLLATE
                    | Keyword::AT
            )
        ),
        _ => true,
    }
}

fn is_prefix(token: &Token) -> bool {
    matches!(
        token,
        Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark
    ) || keyword(token) == Some(Keyword::NOT)
}

fn bounded(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let (mut operators, mut depth, mut parentheses, mut prefixes) = (0usize, 0i32, 0i32, 0usize);
    for token in tokens {
        if token.token == Token::SemiColon {
            let next = "write one SELECT for each check";
            return Err(QueryError::refused(at(token), "a second statement", next));
        }
        operators += usize::from(is_operator(&token.token));
        if operators > OPERATORS_MAX {
            let what = format!("more than {OPERATORS_MAX} operators");
            let next = "use IN (…) for long lists, or split the check";
            return Err(QueryError::refused(at(token), what, next));
        }
        prefixes = if is_prefix(&token.token) {
            prefixes + 1
        } else {
            0
        };
        let step = nesting(&token.token);
        // A column may be called "end": only what is opened counts as closed.
        depth = (depth + step).max(0);
        if depth > DEPTH_MAX as i32 || prefixes > PREFIXES_MAX {
            let what = format!("nested deeper than {DEPTH_MAX}");
            let next = "name parts of it in a WITH clause";
            return Err(QueryError::refused(at(token), what, next));
        }
        parentheses += match token.token {
            Token::LParen => 1,
            Token::RParen => -1,
            _ => 0,
        };
        if parentheses < 0 {
            return Err(QueryError::Invalid {
                at: at(token),
                what: "a parenthesis is closed that was not opened".to_owned(),
                next: "remove it".to_owned(),
            });
        }
    }
    if parentheses > 0 {
        return Err(QueryError::Invalid {
            at: None,
            what: "a parenthesis is not closed".to_owned(),
            next: "close it".to_owned(),
        });
    }
    Ok(())
}

/// An identifier, whatever is in it.
pub(crate) fn identifier(name: &str) -> Token {
    Token::Word(Word {
        value: name.to_owned(),
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    })
}

fn placeholder(name: &str, request: &Request, at: Option<At>) -> Result<Token, QueryError> {
    match name.to_ascii_lowercase().as_str() {
        "object" | "table" | "schema_object" => Ok(identifier(&request.object)),
        "property" | "column" => match &request.property {
            Some(column) => Ok(identifier(column)),
            None => Err(QueryError::refused(
                at,
                format!("{{{name}}} stands for a column, and this rule is one of the whole table"),
                "name the column",
            )),
        },
        "partition" => Ok(Token::SingleQuotedString(request.partition.clone())),
        _ => Err(QueryError::refused(
            at,
            format!("{{{name}}} is not known"),
            "{object} is the table, {property} the column of the rule, {partition} the key of the partition as a text",
        )),
    }
}

/// Whether a placeholder stands where it would not be replaced.
fn is_hidden(token: &Token) -> bool {
    let is_plain = matches!(token, Token::Word(word) if word.quote_style.is_none());
    if is_plain || matches!(token, Token::SingleQuotedString(_)) {
        return false;
    }
    let text = token.to_string();
    ["{object}", "{property}", "{partition}"]
        .iter()
        .any(|name| text.contains(name))
}

fn without_value(at: Option<At>, what: impl Into<String>) -> QueryError {
    QueryError::refused(at, what, "write the value itself, or {partition}")
}

/// The name of the placeholder whose brace was opened.
fn braced(
    rest: &mut impl Iterator<Item = TokenWithSpan>,
    at: Option<At>,
) -> Result<String, QueryError> {
    let inner: Vec<TokenWithSpan> = rest.take(2).collect();
    match inner.as_slice() {
        [
            TokenWithSpan {
                token: Token::Word(word),
                ..
            },
            TokenWithSpan {
                token: Token::RBrace,
                ..
            },
        ] if word.quote_style.is_none() => Ok(word.value.clone()),
        _ => Err(QueryError::refused(
            at,
            "a brace that begins no placeholder",
            "write {object}, {property} or {partition}",
        )),
    }
}

fn replaced(
    tokens: Vec<TokenWithSpan>,
    request: &Request,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut all = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(mut token) = rest.next() {
        let place = at(&token);
        match &mut token.token {
            // `${object}` is written as often as `{object}`.
            Token::Placeholder(mark) if mark == "$" => {
                if rest.peek().is_some_and(|next| next.token == Token::LBrace) {
                    continue;
                }
                return Err(without_value(place, "a parameter without a value"));
            }
            Token::Colon => return Err(without_value(place, "a parameter without a value")),
            Token::Placeholder(mark) => {
                let what = format!("the parameter {mark} has no value");
                return Err(without_value(place, what));
            }
            Token::LBrace => {
                let name = braced(rest.by_ref(), place)?;
                token.token = placeholder(&name, request, place)?;
                all.push(token);
                continue;
            }
            Token::SingleQuotedString(text) if text.contains("{partition}") => {
                *text = text.replace("${partition}", "{partition}");
                *text = text.replace("{partition}", &request.partition);
            }
            _ => {}
        }
        if is_hidden(&token.token) {
            let next = "write it outside of quotes";
            let what = "a placeholder inside of a name or a text";
            return Err(QueryError::refused(place, what, next));
        }
        all.push(token);
    }
    Ok(all)
}
