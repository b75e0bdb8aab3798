//! Changes of shape, and how the owner accepts them.

use assay_judge::schema::differences;
use assay_model::dataset::{
    DatasetStatus, Format, LimitPolicy, Location, LogicalType, Partitioning, Profile, RunPolicy,
    ScanPolicy, Source,
};
use assay_model::ids::DatasetId;

use super::*;

/// A Parquet dataset whose definition names these columns.
fn dataset(columns: &str) -> Dataset {
    let columns = columns.split(", ").filter(|c| !c.is_empty());
    let columns = columns.map(|column| {
        let mut parts = column.split(':').map(str::to_owned);
        Column {
            name: parts.next().unwrap(),
            logical_type: None,
            physical_type: parts.next(),
            required: false,
            unique: false,
            primary_key: None,
            masked: false,
        }
    });
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("d").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "s".to_owned(),
            location: Location::Local {
                path: ".".to_owned(),
            },
            format: Format::of(FormatKind::Parquet),
        },
        partitions: Partitioning::default(),
        columns: columns.collect(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// What is told of `actual` under a definition, the last partition in order and the one before.
fn told(definition: &str, actual: &str, settled: &str, previous: &str) -> Vec<String> {
    let actual = read_columns(actual);
    let previous = read_columns(previous);
    let settled = read_columns(settled);
    let accepted = accepted(&dataset(definition), &actual, settled, Some(&previous));
    differences(&actual, &accepted)
}

#[test]
fn a_change_that_the_definition_does_not_name_is_told_for_as_long_as_it_lasts() {
    let (usual, less, more) = ("a:int64, b:string", "a:int64", "a:int64, b:string, c:date");
    for previous in [usual, less] {
        assert_eq!(told("", less, usual, previous), ["column `b` is gone"]);
    }
    for previous in [usual, more] {
        assert_eq!(told("", more, usual, previous), ["column `c` is new"]);
        assert_eq!(told("a", more, usual, previous), ["column `c` is new"]);
    }
    assert!(told("", usual, usual, less).is_empty());
}

#[test]
fn a_change_is_accepted_by_the_definition() {
    let (usual, less, more) = ("a:int64, b:string", "a:int64", "a:int64, b:string, c:date");
    assert!(told("a, b, c", more, usual, more).is_empty());
    // The loss of a column that was never named is told before it is accepted.
    assert_eq!(told("a", less, usual, usual), ["column `b` is gone"]);
    assert!(told("a", less, usual, less).is_empty());
    let wider = "a:double, b:string";
    assert_eq!(
        told("a:int64", wider, usual, wider),
        ["column `a` is double, not int64"]
    );
    assert!(told("a:DOUBLE", wider, usual, wider).is_empty());
}

#[test]
fn whether_a_column_may_be_null_is_told_once_where_its_type_is_stated() {
    let (usual, loose) = ("a:int64", "a:int64?");
    let change = ["column `a` may be NULL, unlike before"];
    assert_eq!(told("a:int64", loose, usual, usual), change);
    assert!(told("a:int64", loose, usual, loose).is_empty());
    assert_eq!(told("", loose, usual, loose), change);
}

/// What is told of `actual` under columns that are declared with a logical type.
fn told_of_types(kind: FormatKind, columns: &[(&str, LogicalType)], actual: &str) -> Vec<String> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut dataset = dataset(&names.join(", "));
    dataset.source.format = Format::of(kind);
    for (column, (_, of)) in dataset.columns.iter_mut().zip(columns) {
        column.logical_type = Some(*of);
    }
    let actual = read_columns(actual);
    differences(&actual, &declared(&dataset, &actual).unwrap())
}

#[test]
fn a_logical_type_is_held_against_the_types_of_the_data() {
    use LogicalType::{Boolean, Date, Integer, Number};
    let columns = [("id", Integer), ("d", Date), ("b", Boolean), ("n", Number)];
    let wrong = "id:float64?, d:string?, b:int64?, n:string?, more:int64";
    let right = "id:int32, d:date?, b:bool?, n:decimal(10,2)?, more:int64";
    for kind in [FormatKind::Parquet, FormatKind::Delta, FormatKind::Table] {
        let told = told_of_types(kind, &columns, wrong);
        assert_eq!(
            told,
            [
                "column `b` is int64, not boolean",
                "column `d` is string, not date",
                "column `id` is float64, not integer",
                "column `n` is string, not number"
            ]
        );
        assert!(told_of_types(kind, &columns, right).is_empty());
    }
    // The fields of text are of what they read as: another check asks each of them.
    let texts = "id:integer?, d:text?, b:text?, n:text?";
    assert!(told_of_types(FormatKind::Csv, &columns, texts).is_empty());
    assert_eq!(
        told_of_types(FormatKind::Parquet, &columns[..1], "d:date"),
        ["column `id` is gone"]
    );
}

#[test]
fn a_stated_physical_type_does_not_silence_the_logical_one() {
    let mut dataset = dataset("id:float64");
    dataset.columns[0].logical_type = Some(LogicalType::Integer);
    let told = |actual: &str| {
        let actual = read_columns(actual);
        differences(&actual, &declared(&dataset, &actual).unwrap())
    };
    assert_eq!(told("id:float64"), ["column `id` is float64, not integer"]);
    assert_eq!(told("id:int64"), ["column `id` is int64, not float64"]);
}
