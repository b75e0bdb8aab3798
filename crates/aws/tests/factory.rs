//! Clients of the factory against servers that answer wrongly, or not at all.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use assay_aws::{Cause, Options, SdkConfig, Trouble, config, trouble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

fn quick() -> Options {
    Options {
        region: Some("eu-west-1".to_owned()),
        attempts: 2,
        attempt: Duration::from_secs(2),
        call: Duration::from_secs(5),
        ..Options::default()
    }
}

/// What comes of asking who we are at `endpoint`.
async fn ask(config: &SdkConfig, endpoint: &str) -> Trouble {
    let keys = aws_sdk_sts::config::Credentials::new("AKIDSECRET", "hidden", None, None, "test");
    let config = aws_sdk_sts::config::Builder::from(config)
        .credentials_provider(keys)
        .endpoint_url(endpoint)
        .build();
    let client = aws_sdk_sts::Client::from_conf(config);
    trouble(&client.get_caller_identity().send().await.unwrap_err())
}

/// A server that answers every request with `answer`, and its address.
async fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused_by_tls() {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let config = config(&quick()).await.unwrap();
    let told = ask(&config, &format!("https://localhost:{}", address.port())).await;
    assert_eq!(told.cause, Cause::Away);
    assert!(told.text.contains("certificate"), "{told}");
    assert!(!told.text.contains("hidden"));
}

#[tokio::test]
async fn what_a_service_answers_is_told_apart() {
    let config = config(&quick()).await.unwrap();
    for (answer, cause) in [
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
             <ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
             <Message>The security token is invalid</Message></Error></ErrorResponse>",
            Cause::Identity,
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
             <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>no</Message></Error></ErrorResponse>",
            Cause::Denied,
        ),
        (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
             <ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>\
             <Message>slower</Message></Error></ErrorResponse>",
            Cause::Throttled,
        ),
        (
            "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\n\r\n",
            Cause::Away,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<cut",
            Cause::Away,
        ),
        ("", Cause::Away),
    ] {
        let told = ask(&config, &answering(answer).await).await;
        assert_eq!(told.cause, cause, "{answer:?}: {told}");
        assert!(!told.to_string().is_empty());
    }
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up_after_the_time_of_a_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options {
        attempt: Duration::from_millis(300),
        call: Duration::from_millis(900),
        ..quick()
    };
    let config = config(&options).await.unwrap();
    let endpoint = format!("http://{address}");
    let told = ask(&config, &endpoint);
    let told = tokio::time::timeout(Duration::from_secs(30), told)
        .await
        .unwrap();
    assert_eq!(told.cause, Cause::Away);
    assert!(told.is_passing() && !told.nothing_happened());
    drop(listener);
}
