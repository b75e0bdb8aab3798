//! What is drawn again after a commit is what one who sees it for the first time draws.

use assay_model::check::CheckOrigin;
use assay_model::outcome::{Limits, Outcome, OutcomeCounts};
use assay_model::output::Evaluation;
use assay_store::conformance::fixtures::{check_result, evaluation};
use http::StatusCode;
use serde_json::Value;

use crate::scene::{POINTS, Scene, served};

/// A verdict with results of these checks on the same metric.
fn judged(day: &str, version: &str, rows: i64, checks: &[(&str, Outcome)]) -> Evaluation {
    let results = checks.iter().map(|(check, outcome)| {
        let mut result = check_result(check, *outcome);
        if *check == "learned" {
            result.origin = CheckOrigin::Profiled;
            result.limits = Some(Limits {
                lower: Some(1.0),
                expected: Some(10.0),
                upper: Some(20.0),
                model: "median+t5".to_owned(),
                model_version: 1,
                ..Limits::default()
            });
        }
        result
    });
    let results: Vec<_> = results.collect();
    Evaluation {
        counts: OutcomeCounts::of(&results),
        results,
        ..evaluation(day, version, rows, Outcome::Pass)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drawn_again_is_what_is_drawn_for_the_first_time() {
    let scene = Scene::new().await;
    let looks = served(&scene, scene.gateway()).await;
    let (pass, fail) = (("rows_exist", Outcome::Pass), ("rows_exist", Outcome::Fail));
    let learned = ("learned", Outcome::Warn);
    let ranges = ["", "?maxPoints=2", "?from=2026-11-02&to=2026-11-03"];
    for (n, verdict) in [
        judged("2026-11-01", "v1", 10, &[pass]),
        judged("2026-11-02", "v1", 11, &[fail, learned]),
        // A value that nothing was held against.
        judged("2026-11-04", "v1", 12, &[]),
        // One that comes late, between those that are there.
        judged("2026-11-03", "v1", 13, &[learned]),
        // Another version of one, with other values and another outcome.
        judged("2026-11-02", "v2", 14, &[pass]),
        // And one that nothing is held against any more.
        judged("2026-11-01", "v2", 15, &[]),
        judged("2026-11-05", "v1", 16, &[pass, learned]),
    ]
    .into_iter()
    .enumerate()
    {
        let day = verdict.partition.key.to_string();
        scene.bench.judged(&format!("run {n}"), verdict).await;
        // One that has nothing to draw again from.
        let first = served(&scene, scene.gateway()).await;
        for range in ranges {
            let path = format!("{POINTS}{range}");
            let (response, mut anew) = first.ask(&path).await;
            assert_eq!(response.status(), StatusCode::OK, "{anew}");
            let begun = std::time::Instant::now();
            loop {
                let (_, mut again) = looks.ask(&path).await;
                for told in [&mut anew, &mut again] {
                    told["asOf"] = Value::Null;
                }
                if again == anew {
                    break;
                }
                // Word of the commit may be on its way.
                let waited = begun.elapsed();
                assert!(
                    waited.as_secs() < 10,
                    "{day} {range}: {again:#}\nis not\n{anew:#}"
                );
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}
