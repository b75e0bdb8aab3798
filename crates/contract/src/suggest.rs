//! What a mistyped or foreign word was meant to be.
//!
//! In: a word and the words that are allowed. Out: the allowed word that was probably meant.

/// Names of checks in other tools, and ours.
const METRIC_SYNONYMS: &[(&str, &str)] = &[
    ("missing", "missingValues"),
    ("notnull", "nullValues"),
    ("nulls", "nullValues"),
    ("nullcount", "nullValues"),
    ("nullpercent", "nullValues"),
    ("iscomplete", "nullValues"),
    ("completeness", "nullValues"),
    ("expectcolumnvaluestonotbenull", "nullValues"),
    ("missingcount", "missingValues"),
    ("missingpercent", "missingValues"),
    ("invalid", "invalidValues"),
    ("invalidcount", "invalidValues"),
    ("invalidpercent", "invalidValues"),
    ("acceptedvalues", "invalidValues"),
    ("columnvalues", "invalidValues"),
    ("validformat", "invalidValues"),
    ("expectcolumnvaluestobeinset", "invalidValues"),
    ("expectcolumnvaluestomatchregex", "invalidValues"),
    ("duplicate", "duplicateValues"),
    ("duplicates", "duplicateValues"),
    ("duplicatecount", "duplicateValues"),
    ("duplicatepercent", "duplicateValues"),
    ("unique", "duplicateValues"),
    ("isunique", "duplicateValues"),
    ("uniqueness", "duplicateValues"),
    ("isprimarykey", "duplicateValues"),
    ("expectcolumnvaluestobeunique", "duplicateValues"),
    ("expectcompoundcolumnstobeunique", "duplicateValues"),
    ("rows", "rowCount"),
    ("count", "rowCount"),
    ("numrows", "rowCount"),
    ("expecttablerowcounttobebetween", "rowCount"),
    ("avg", "mean"),
    ("average", "mean"),
    ("std", "stddev"),
    ("stdev", "stddev"),
    ("standarddeviation", "stddev"),
    ("median", "quantile"),
    ("percentile", "quantile"),
    ("distinct", "distinctCount"),
    ("distinctvalues", "distinctCount"),
    ("uniquecount", "distinctCount"),
    ("columnlength", "lengthMax"),
    ("minlength", "lengthMin"),
    ("maxlength", "lengthMax"),
    ("avglength", "lengthMean"),
    ("minimum", "min"),
    ("maximum", "max"),
    ("freshness", "latency"),
];

/// Operators of other tools, and ours.
const OPERATOR_SYNONYMS: &[(&str, &str)] = &[
    ("mustbegreaterthanorequal", "mustBeGreaterOrEqualTo"),
    ("mustbegreaterthanorequalto", "mustBeGreaterOrEqualTo"),
    ("mustbegreaterorequal", "mustBeGreaterOrEqualTo"),
    ("mustbeatleast", "mustBeGreaterOrEqualTo"),
    ("mustbelessthanorequal", "mustBeLessOrEqualTo"),
    ("mustbelessthanorequalto", "mustBeLessOrEqualTo"),
    ("mustbelessorequal", "mustBeLessOrEqualTo"),
    ("mustbeatmost", "mustBeLessOrEqualTo"),
    ("mustbenotbetween", "mustNotBeBetween"),
    ("mustequal", "mustBe"),
    ("mustbeequalto", "mustBe"),
    ("mustnotequal", "mustNotBe"),
    ("mustbein", "mustBeBetween"),
    ("greaterthan", "mustBeGreaterThan"),
    ("lessthan", "mustBeLessThan"),
    ("between", "mustBeBetween"),
    ("equals", "mustBe"),
];

/// The word without case and separators.
fn plain(word: &str) -> String {
    word.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The allowed word that `word` was probably meant to be.
pub fn closest<'w>(word: &str, allowed: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // Comparing is quadratic: a word longer than any of ours is not a misspelling of one.
    if word.len() > 64 {
        return None;
    }
    let wanted = plain(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in allowed {
        let other = plain(candidate);
        if !wanted.is_empty() && other == wanted {
            return Some(candidate);
        }
        let distance = strsim::damerau_levenshtein(&wanted, &other);
        let most = (other.len().min(wanted.len()) / 3).max(1);
        if distance <= most && other.len() > 1 && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or the allowed words when they are few.
pub fn hint(word: &str, allowed: &[&str]) -> Option<String> {
    if let Some(meant) = closest(word, allowed.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    (!allowed.is_empty() && allowed.len() <= 12).then(|| format!("use one of {}", listed(allowed)))
}

/// `` `a`, `b` or `c` ``.
pub fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The metric that a foreign or mistyped name means.
pub fn metric<'w>(word: &str, allowed: &[&'w str]) -> Option<&'w str> {
    let wanted = plain(word);
    let synonym = METRIC_SYNONYMS.iter().find(|(other, _)| *other == wanted);
    synonym
        .and_then(|(_, ours)| allowed.iter().copied().find(|w| w == ours))
        .or_else(|| closest(word, allowed.iter().copied()))
}

/// The operator that an unknown key of a rule was meant to be; `None` when it is no operator.
pub fn operator<'w>(word: &str, allowed: &[&'w str]) -> Option<&'w str> {
    let wanted = plain(word);
    let synonym = OPERATOR_SYNONYMS.iter().find(|(other, _)| *other == wanted);
    synonym
        .and_then(|(_, ours)| allowed.iter().copied().find(|w| w == ours))
        .or_else(|| closest(word, allowed.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let words = ["rowCount", "nullValues", "missingValues"];
        assert_eq!(closest("rowcount", words), Some("rowCount"));
        assert_eq!(closest("row_count", words), Some("rowCount"));
        assert_eq!(closest("nullValeus", words), Some("nullValues"));
        assert_eq!(closest("zebra", words), None);
        assert_eq!(closest("", words), None);
    }

    #[test]
    fn names_of_other_tools_lead_to_ours() {
        let words = ["rowCount", "nullValues", "duplicateValues", "invalidValues"];
        assert_eq!(metric("not_null", &words), Some("nullValues"));
        assert_eq!(metric("IsUnique", &words), Some("duplicateValues"));
        assert_eq!(metric("accepted_values", &words), Some("invalidValues"));
        let operators = ["mustBe", "mustBeLessOrEqualTo"];
        assert_eq!(
            operator("must_be_less_than_or_equal", &operators),
            Some("mustBeLessOrEqualTo")
        );
    }
}
