//! The way of every request to an object store: where it may go, and what was answered.
//!
//! In: the requests that `object_store` makes. Out: their answers, with what was said left beside
//! them ([`Heard`]), and with the names of a listing spelt so that each comes through. No request
//! goes to an address that the policy refuses: an address is judged when it is written, a name
//! whenever it is looked up, and what is connected to is what was judged. Redirects are not
//! followed, and no proxy is asked.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::names;
use crate::policy::{Endpoint, Policy};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take, its answer read.
const REQUEST: Duration = Duration::from_secs(120);
/// How long nothing of an answer may come.
const SILENCE: Duration = Duration::from_secs(10);
/// Clients that are kept.
const MADE_MAX: usize = 16;
/// The most of an answer: more than the largest window of a reader, and than any page of a listing.
const ANSWER_BYTES_MAX: usize = 48 << 20;
/// The most of an answer that is an error.
const SAID_BYTES_MAX: usize = 64 << 10;

/// What the service said that was no success: the last of a request's attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status of HTTP; 0 when there was none.
    pub status: u16,
    /// The service's word for what is wrong.
    pub code: String,
    /// Its sentence.
    pub message: String,
    /// The region that the bucket is in, if it said so.
    pub region: Option<String>,
    /// Why there was no answer.
    pub broken: String,
    /// Why the policy forbids the address.
    pub refused: Option<String>,
}

/// Where a request leaves what was answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Option<Answer>>>);

impl Heard {
    /// What was answered last, if that was no success.
    pub(crate) fn last(&self) -> Option<Answer> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, answer: Option<Answer>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// As the extensions of a request.
    pub(crate) fn extensions(&self) -> ::http::Extensions {
        let mut extensions = ::http::Extensions::new();
        extensions.insert(self.clone());
        extensions
    }
}

/// An address that the policy forbids.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(String);

/// An answer that goes on beyond what any is.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the service's answer has more than {0} bytes, more than was asked for")]
pub(crate) struct TooLong(usize);

/// Looks names up, and judges what is found.
#[derive(Debug)]
struct JudgedNames {
    policy: Arc<Policy>,
    endpoints: Vec<Endpoint>,
}

impl JudgedNames {
    fn port(&self, host: &str) -> u16 {
        let named = self.endpoints.iter().find(|e| e.host == host);
        named.map_or(443, |endpoint| endpoint.port)
    }
}

impl Resolve for JudgedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let (policy, port) = (self.policy.clone(), self.port(&host));
        Box::pin(async move {
            let looked_up =
                tokio::task::spawn_blocking(move || policy.addresses(&host, port)).await?;
            match looked_up {
                Ok(found) => {
                    let found: Addrs = Box::new(
                        found
                            .into_iter()
                            .map(|address| SocketAddr::new(address.ip(), 0)),
                    );
                    Ok(found)
                }
                Err(error @ assay_scan::ScanError::Away { .. }) => Err(error.into()),
                Err(error) => Err(Forbidden(error.to_string()).into()),
            }
        })
    }
}

/// Makes the clients of one source.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    client: HttpClient,
}

impl Connector {
    /// A connector that reaches what the policy allows; `endpoints` are the services that are not
    /// at the usual port of their provider.
    ///
    /// Connections outlive a task: those to the same services under the same policy are shared.
    pub(crate) fn new(policy: Policy, endpoints: Vec<Endpoint>) -> Result<Self, String> {
        static MADE: Mutex<Vec<(Policy, Vec<Endpoint>, Connector)>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let same = made
            .iter()
            .find(|(p, e, _)| *p == policy && *e == endpoints);
        if let Some((_, _, connector)) = same {
            return Ok(connector.clone());
        }
        let connector = Self::make(Arc::new(policy.clone()), endpoints.clone())?;
        if made.len() >= MADE_MAX {
            made.remove(0);
        }
        made.push((policy, endpoints, connector.clone()));
        Ok(connector)
    }

    fn make(policy: Arc<Policy>, endpoints: Vec<Endpoint>) -> Result<Self, String> {
        let names = JudgedNames {
            policy: policy.clone(),
            endpoints,
        };
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(names))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .read_timeout(SILENCE)
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no client of HTTP can be made: {error}"))?;
        let service = Watched {
            inner: HttpClient::new(client),
            policy,
        };
        Ok(Self {
            client: HttpClient::new(service),
        })
    }

    /// The client itself.
    pub(crate) fn client(&self) -> HttpClient {
        self.client.clone()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client.clone())
    }
}

/// The service behind every client.
#[derive(Debug)]
struct Watched {
    inner: HttpClient,
    policy: Arc<Policy>,
}

impl Watched {
    /// A machine that is written as an address is never looked up.
    fn judge(&self, request: &HttpRequest) -> Result<(), String> {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_err() {
            return Ok(());
        }
        let tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let judged = self.policy.addresses(bare, port);
        judged.map(drop).map_err(|error| error.to_string())
    }
}

#[async_trait::async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let heard = request.extensions().get::<Heard>().cloned();
        let say = |answer: Option<Answer>| {
            if let Some(heard) = &heard {
                heard.set(answer);
            }
        };
        if let Err(why) = self.judge(&request) {
            say(Some(Answer {
                refused: Some(why.clone()),
                ..Answer::default()
            }));
            return Err(HttpError::new(HttpErrorKind::Unknown, Forbidden(why)));
        }
        let lists = names::lists(request.uri().query().unwrap_or_default());
        let response = match self.inner.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                let answer = no_answer(&error);
                let refused = answer.refused.clone();
                say(Some(answer));
                // What is forbidden stays so: it is not tried again.
                return Err(match refused {
                    Some(why) => HttpError::new(HttpErrorKind::Unknown, Forbidden(why)),
                    None => error,
                });
            }
        };
        let status = response.status();
        if status.is_success() {
            say(None);
            let response = bounded(response);
            let Some(element) = lists else {
                return Ok(response);
            };
            let page = respelt(response, element).await;
            if let Err(error) = &page {
                say(Some(no_answer(error)));
            }
            return page;
        }
        let (parts, body) = response.into_parts();
        let said = some_of(body).await;
        let text = String::from_utf8_lossy(&said);
        let region = parts.headers.get("x-amz-bucket-region");
        let region = region.and_then(|value| value.to_str().ok());
        say(Some(Answer {
            status: status.as_u16(),
            code: names::element(&text, "Code").unwrap_or_default(),
            message: names::element(&text, "Message").unwrap_or_default(),
            region: region
                .map(str::to_owned)
                .or_else(|| names::element(&text, "Region")),
            ..Answer::default()
        }));
        Ok(HttpResponse::from_parts(parts, whole(said)))
    }
}

fn whole(bytes: Bytes) -> HttpResponseBody {
    HttpResponseBody::new(Full::new(bytes).map_err(|never| match never {}))
}

/// The same, broken off where it becomes too long.
fn bounded(response: HttpResponse) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let limited =
        Limited::new(body, ANSWER_BYTES_MAX).map_err(|error| match error.downcast::<HttpError>() {
            Ok(own) => *own,
            Err(_) => HttpError::new(HttpErrorKind::Decode, TooLong(ANSWER_BYTES_MAX)),
        });
    HttpResponse::from_parts(parts, HttpResponseBody::new(limited))
}

/// The beginning of a body.
async fn some_of(mut body: HttpResponseBody) -> Bytes {
    let mut said = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            said.extend_from_slice(&data);
        }
        if said.len() >= SAID_BYTES_MAX {
            said.truncate(SAID_BYTES_MAX);
            break;
        }
    }
    said.into()
}

/// A page of a listing, with its names spelt so that none is altered on the way.
async fn respelt(response: HttpResponse, element: &str) -> Result<HttpResponse, HttpError> {
    let (mut parts, body) = response.into_parts();
    let page = body.bytes().await.map_err(|error| {
        // What breaks off is asked for again, what is too long is not.
        let long = std::error::Error::source(&error).is_some_and(|cause| cause.is::<TooLong>());
        match error.kind() {
            HttpErrorKind::Decode | HttpErrorKind::Unknown if !long => {
                HttpError::new(HttpErrorKind::Interrupted, error)
            }
            _ => error,
        }
    })?;
    let page = names::spell(&page, element)
        .map_err(|what| HttpError::new(HttpErrorKind::Decode, Forbidden(what)))?;
    parts.headers.remove(::http::header::CONTENT_LENGTH);
    Ok(HttpResponse::from_parts(parts, whole(page.into())))
}

/// Why there was no answer, from the error's chain of causes.
fn no_answer(error: &HttpError) -> Answer {
    let mut answer = Answer::default();
    let mut told: Vec<String> = Vec::new();
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(one) = cause {
        if let Some(Forbidden(why)) = one.downcast_ref::<Forbidden>() {
            answer.refused = Some(why.clone());
        }
        let text = one.to_string();
        if !told.iter().any(|t| t.contains(&text)) {
            told.push(text);
        }
        cause = one.source();
    }
    answer.broken = told.join(": ");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_scan::reach::Access;
    use object_store::client::HttpRequestBody;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::atomic::{AtomicUsize, Ordering};

    static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);

    /// Says the allowed machine first and then, to whoever asks again, the one with the secrets.
    fn rebound(_: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let ip = match LOOKED_UP.fetch_add(1, Ordering::SeqCst) {
            0 => Ipv4Addr::LOCALHOST,
            1 => Ipv4Addr::new(127, 0, 0, 2),
            _ => Ipv4Addr::new(169, 254, 169, 254),
        };
        Ok(vec![SocketAddr::new(ip.into(), port)])
    }

    fn answering(listener: TcpListener) -> Arc<AtomicUsize> {
        let met: Arc<AtomicUsize> = Arc::default();
        let count = met.clone();
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
                );
            }
        });
        met
    }

    #[test]
    fn what_is_connected_to_is_the_address_that_was_judged_whatever_the_name_means_next() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
        let (first, second) = (answering(first), answering(second));
        let service = format!("http://rebind.example:{port}");
        let access = Access {
            allowed: Some(vec![format!("s3://trips/ at {service}")]),
            ..Access::default()
        };
        let policy = Policy::new(&access).unwrap().resolving(rebound);
        let known = vec![Endpoint::parse(&service).unwrap()];
        let connector = Connector::new(policy, known).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ask = || {
            let request = ::http::Request::get(&service).body(HttpRequestBody::from(Vec::new()));
            runtime.block_on(connector.client().execute(request.unwrap()))
        };
        let met = || (first.load(Ordering::SeqCst), second.load(Ordering::SeqCst));
        ask().unwrap();
        // One look, and the connection went where that look said.
        assert_eq!((LOOKED_UP.load(Ordering::SeqCst), met()), (1, (1, 0)));
        ask().unwrap();
        assert_eq!((LOOKED_UP.load(Ordering::SeqCst), met()), (2, (1, 1)));
        let refused = ask().unwrap_err();
        let cause = Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("hand out their credentials"), "{cause}");
        assert_eq!((LOOKED_UP.load(Ordering::SeqCst), met()), (3, (1, 1)));
    }
}
