//! Times reads of an object in blocks, as the scan of text reads them: with the windows of the
//! adapter, and with one request per block. `bucket_speed [MIB] [LATENCY_MS]`
//!
//! The store is a stand-in on loopback; the latency, of which a real one has 15 to 40 ms, is put
//! before each request by a proxy.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../tests/bucket/proxy.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod proxy;

use std::time::{Duration, Instant};

use assay_model::dataset::{Credential, Format, FormatKind, Location, Source};
use assay_model::source::{Bucket, BucketStore};
use assay_scan::reach::Access;
use assay_test_servers::ministack::Ministack;
use assay_test_servers::s3::TestBucket;

const BLOCK: usize = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: u64| arguments.next().map_or(Ok(or), |text| text.parse::<u64>());
    let (mib, latency) = (number(64)?, Duration::from_millis(number(20)?));
    let stack = Ministack::start();
    let bucket = TestBucket::create(stack.port(), "speed");
    bucket.put("object", &vec![b'x'; usize::try_from(mib << 20)?]);
    let late = proxy::Proxy::before(stack.port(), move |_, _| proxy::Act::Late(latency));
    for (name, endpoint) in [("loopback", stack.url()), ("late", late.url())] {
        let source = Source {
            server: "lake".to_owned(),
            location: Location::Bucket(Bucket {
                store: BucketStore::S3,
                name: bucket.name.clone(),
                path: "object".to_owned(),
                region: None,
                endpoint: Some(endpoint),
                account: None,
                role: None,
                external_id: None,
            }),
            format: Format::of(FormatKind::Csv),
            credential: Some(Credential::Anonymous),
        };
        let access = Access {
            secrets: [(
                Credential::Anonymous.to_string(),
                assay_scan::reach::Secret::new("anonymous"),
            )]
            .into(),
            ..Access::default()
        };
        let mut rates = Vec::new();
        // Without memory there is one window, of a block.
        for memory in [0, 64 << 20] {
            let objects = assay_sources::reach(access.clone()).objects(&source, memory)?;
            let object = objects.list("").next().ok_or("nothing is there")??;
            let reader = objects.open(&object)?;
            let mut block = vec![0; BLOCK];
            let began = Instant::now();
            for at in (0..object.size).step_by(BLOCK) {
                let length = BLOCK.min(usize::try_from(object.size - at)?);
                reader.read_exact_at(at, &mut block[..length])?;
            }
            rates.push(mib as f64 / began.elapsed().as_secs_f64());
        }
        println!(
            "{name}: one request per block {:.0} MiB/s, windows {:.0} MiB/s, ratio {:.1}",
            rates[0],
            rates[1],
            rates[1] / rates[0]
        );
    }
    Ok(())
}
