//! The scheduled function of a cluster, asked with the caller's own AWS identity.
//!
//! Comes in: the function's name and an event. Goes out: its answer. It must never take the failure
//! of a function for an answer.

use anyhow::Result;
use serde_json::Value;

use crate::client::coded;
use crate::exit::Exit;

/// Has the function answer `event`.
#[cfg(feature = "cloud")]
pub async fn invoke(function: &str, event: &Value) -> Result<Value> {
    use assay_aws::trouble;
    use aws_sdk_lambda::primitives::Blob;

    let what = format!("the function {function}");
    let options = assay_aws::Options {
        // A tick may take as long as the function may.
        attempt: std::time::Duration::from_secs(120),
        call: std::time::Duration::from_secs(300),
        ..assay_aws::Options::default()
    };
    let config = assay_aws::config(&options).await?;
    let client = aws_sdk_lambda::Client::new(&config);
    let asked = client
        .invoke()
        .function_name(function)
        .payload(Blob::new(event.to_string()));
    let answer = asked.send().await.map_err(|error| {
        let trouble = trouble(&error);
        let remedy = trouble.remedy(&what);
        coded(Exit::NoServer, format!("{what}: {trouble}\n  {remedy}"))
    })?;
    let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
    let said: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
    if let Some(error) = answer.function_error() {
        let why = said.get("errorMessage").and_then(Value::as_str);
        return Err(coded(
            Exit::NotEvaluated,
            format!("{what} has failed: {}", why.unwrap_or(error)),
        ));
    }
    Ok(said)
}

/// This build knows nothing of AWS.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
pub async fn invoke(function: &str, _: &Value) -> Result<Value> {
    Err(coded(
        Exit::Usage,
        format!(
            "this program was built without AWS, and cannot ask the function {function}\n  \
             take one with the feature `cloud`, or unset schedule.function"
        ),
    ))
}
