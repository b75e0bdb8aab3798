//! Passwords of IAM for a store on RDS: a token for a quarter of an hour at a time.
//!
//! Comes in: the store's address without a password. Goes out: tokens by the identity that AWS takes
//! this process for. It must never print one.

use std::sync::Arc;

use assay_aws::{Login, SdkConfig, TOKEN_HOLDS, database_token};
use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;

use super::access::{Password, Passwords};
use crate::error::StoreError;

/// Signs a token for each password that is asked for.
struct Tokens {
    config: SdkConfig,
    login: Login,
}

#[async_trait]
impl Passwords for Tokens {
    async fn password(&self) -> Result<Password, String> {
        let token = database_token(&self.config, &self.login).await;
        Ok(Password {
            text: token.map_err(|error| error.to_string())?,
            holds: TOKEN_HOLDS,
        })
    }
}

/// Passwords of IAM for the user and the server that `url` names.
///
/// # Errors
/// [`StoreError::Open`] when it cannot be read, or no region of AWS is known.
pub async fn iam(url: &str) -> Result<Arc<dyn Passwords>, StoreError> {
    let open = |detail: String| StoreError::Open {
        place: "the address of the store".to_owned(),
        detail,
    };
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| open(error.to_string()))?;
    let config = assay_aws::config(&assay_aws::Options::default())
        .await
        .map_err(|error| open(error.to_string()))?;
    let login = Login {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        user: options.get_username().to_owned(),
    };
    Ok(Arc::new(Tokens { config, login }))
}
