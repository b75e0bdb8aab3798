//! Which types of a source a declared type stands for.
//!
//! In: a logical type of a definition, and the type of a column as the schema metric shows it. Out:
//! whether every value of such a column is of the logical type. It must never admit a type whose
//! values would have to be changed to be of it.

use assay_model::dataset::LogicalType;

/// Whether a column of the type `text` is of the logical type. Types on which files of a partition
/// disagree are joined by `|`: each of them must be. A column of the type `null` has no value that
/// could be of another type.
#[must_use]
pub fn admits(declared: LogicalType, text: &str) -> bool {
    // Behind `<` stand the types of parts, which are not declared.
    let outer = text.split('<').next().unwrap_or(text);
    if outer.len() < text.len() {
        return admits_one(declared, outer);
    }
    text.split('|').all(|one| admits_one(declared, one))
}

fn admits_one(declared: LogicalType, text: &str) -> bool {
    if text == "null" {
        return true;
    }
    let text = text.to_ascii_lowercase();
    let word = text.split('(').next().unwrap_or(&text);
    match declared {
        LogicalType::Integer => is_integer(word) || (word == "decimal" && is_whole(&text)),
        LogicalType::Number => {
            is_integer(word) || matches!(word, "decimal" | "float16" | "float32" | "float64")
        }
        LogicalType::Boolean => word == "bool",
        LogicalType::Date => word == "date",
        LogicalType::Time => word == "time",
        LogicalType::Timestamp => word == "timestamp",
        // What is read as text, what is kept as its bytes, and what a database calls by a word of
        // its own.
        LogicalType::String => !is_other_than_text(word),
        LogicalType::Object => !is_single(word) && !matches!(word, "list" | "repeated"),
        LogicalType::Array => !is_single(word) && !matches!(word, "struct" | "map"),
    }
}

fn is_integer(word: &str) -> bool {
    let bits = word.strip_prefix('u').unwrap_or(word).strip_prefix("int");
    matches!(bits, Some("8" | "16" | "32" | "64"))
}

/// Whether a decimal has no digits behind its point: `decimal(18,0)`.
fn is_whole(decimal: &str) -> bool {
    let scale = decimal.strip_suffix(')').and_then(|d| d.rsplit_once(','));
    scale.is_some_and(|(_, scale)| scale.trim().parse::<i32>().is_ok_and(|scale| scale <= 0))
}

fn is_other_than_text(word: &str) -> bool {
    let numbers = is_integer(word) || word.starts_with("float") || word == "decimal";
    let others = [
        "bool",
        "date",
        "time",
        "timestamp",
        "list",
        "repeated",
        "struct",
        "map",
    ];
    numbers || others.contains(&word)
}

/// Whether values of the type have no parts. JSON and the words of a database may have them.
fn is_single(word: &str) -> bool {
    let nested = ["list", "repeated", "struct", "map"];
    let texts = ["string", "binary", "fixed", "uuid"];
    (is_other_than_text(word) && !nested.contains(&word)) || texts.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use LogicalType::{Array, Boolean, Date, Integer, Number, Object, String, Time, Timestamp};

    #[test]
    fn a_declared_type_stands_for_the_types_whose_values_are_of_it() {
        let all: [(LogicalType, &[&str]); 9] = [
            (
                Integer,
                &[
                    "int8",
                    "uint64",
                    "int32|int64",
                    "decimal(18,0)",
                    "decimal(5,-2)",
                ],
            ),
            (
                Number,
                &[
                    "int32",
                    "float16",
                    "float64",
                    "decimal(10,2)",
                    "decimal",
                    "int64|float64",
                ],
            ),
            (
                String,
                &["string", "json", "binary", "uuid", "fixed(16)", "inet"],
            ),
            (Boolean, &["bool"]),
            (Date, &["date"]),
            (Time, &["time(us)"]),
            (
                Timestamp,
                &["timestamp(us,utc)", "timestamp(ms)", "timestamp(int96)"],
            ),
            (
                Object,
                &[
                    "struct<a:int64?,b:string|x>",
                    "map<key_value:int64>",
                    "json",
                ],
            ),
            (Array, &["list<element:int64?>", "repeated<int32>", "json"]),
        ];
        for (declared, texts) in all {
            for text in texts.iter().chain(&["null"]) {
                assert!(admits(declared, text), "{declared} {text}");
            }
        }
    }

    #[test]
    fn a_type_whose_values_would_have_to_change_is_another() {
        let all: [(LogicalType, &[&str]); 9] = [
            (
                Integer,
                &[
                    "float64",
                    "decimal(10,2)",
                    "decimal",
                    "string",
                    "bool",
                    "int64|float64",
                ],
            ),
            (Number, &["string", "bool", "date", "interval"]),
            (
                String,
                &[
                    "int64",
                    "bool",
                    "date",
                    "decimal(5,0)",
                    "list<element:string?>",
                ],
            ),
            (Boolean, &["int64", "string"]),
            (Date, &["string", "timestamp(us)", "int32"]),
            (Time, &["timestamp(us)", "string", "int64"]),
            (Timestamp, &["date", "string", "int64", "time(us)"]),
            (Object, &["list<element:int64?>", "string", "int64"]),
            (
                Array,
                &["struct<a:int64?>", "map<key_value:int64>", "string"],
            ),
        ];
        for (declared, texts) in all {
            for text in texts {
                assert!(!admits(declared, text), "{declared} {text}");
            }
        }
    }
}
