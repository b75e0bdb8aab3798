//! Who AWS takes this end for.
//!
//! Comes in: a configuration. Goes out: the account and the identity behind its keys, which anybody
//! may ask of themselves. It must never show a key.

use aws_config::SdkConfig;

use crate::{Trouble, trouble};

/// An identity, as AWS knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its account: twelve digits.
    pub account: String,
    /// Its name: `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION`.
    pub arn: String,
}

/// Asks AWS who is asking.
///
/// # Errors
/// [`Trouble`] when there is no identity, or AWS does not answer.
pub async fn caller(config: &SdkConfig) -> Result<Caller, Trouble> {
    let client = aws_sdk_sts::Client::new(config);
    let answer = client.get_caller_identity().send().await;
    let answer = answer.map_err(|error| trouble(&error))?;
    let text = |part: Option<&str>| part.unwrap_or("unknown").to_owned();
    Ok(Caller {
        account: text(answer.account()),
        arn: text(answer.arn()),
    })
}
