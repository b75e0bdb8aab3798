//! Bytes from anywhere: every decoder gives a message or a typed error, every conversion a value of
//! the model or a typed error, and neither takes memory that the bytes do not justify.
//!
//! `make fuzz CASES=…` runs it for as long as one likes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mutate;
mod samples;

use allocation_counter::measure;
use assay_model::dataset::Dataset;
use assay_model::ledger::LedgerEntry;
use assay_model::notice::{Cause, Subscription, Told};
use assay_model::outcome::Limits;
use assay_model::output::{Discovery, Evaluation};
use assay_model::run::Selection;
use assay_model::task::TaskSpec;
use assay_proto::{WireError, convert, v1};
use proptest::prelude::*;
use prost::Message;

use mutate::{Change, changed, changes};

/// Memory that a decoder and a conversion may take at a time, for each byte of what a manager
/// takes in: an empty item of a list is two bytes of it, and a list grows by doubling.
const REQUEST_FACTOR: u64 = 120;
/// The same for answers, which clients take from managers: their items are larger.
const ANSWER_FACTOR: u64 = 1200;
/// What any message may take, however short: buffers of fixed sizes, and the words of an error.
const FIXED: u64 = 16 << 10;

/// Cases of each property, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(usual),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Decodes, converts, and writes again what was read; all of it within the memory that is allowed.
fn read<M: Message + Default>(
    bytes: &[u8],
    factor: u64,
    convert: impl Fn(M) -> Result<(), WireError>,
) {
    let mut refused = None;
    let taken = measure(|| {
        if let Ok(message) = M::decode(bytes) {
            refused = convert(message).err();
        }
    });
    let allowed = FIXED + factor * bytes.len() as u64;
    assert!(
        taken.bytes_max <= allowed,
        "{} bytes take {} of memory, {allowed} are allowed",
        bytes.len(),
        taken.bytes_max,
    );
    if let Some(error) = refused {
        let words = error.to_string();
        assert!(!words.is_empty() && words.len() < 1000, "{words}");
    }
    // What is read is written as it is read.
    if let Ok(message) = M::decode(bytes) {
        let written = message.encode_to_vec();
        assert_eq!(
            M::decode(written.as_slice()).unwrap().encode_to_vec(),
            written
        );
    }
}

fn done<T>(converted: Result<T, WireError>) -> Result<(), WireError> {
    converted.map(|_| ())
}

/// What managers read.
fn as_requests(bytes: &[u8]) {
    const F: u64 = REQUEST_FACTOR;
    read(bytes, F, |m: v1::NodeMessage| done(convert::node_says(m)));
    read(bytes, F, |m: v1::AttemptToken| {
        done(convert::token(Some(m)))
    });
    read(bytes, F, |m: v1::SubmitRequest| {
        if let Some(v1::submit_request::What::DefinitionJson(json)) = m.what {
            convert::definition(json)?;
        }
        convert::word::<assay_model::run::Trigger>("trigger", m.trigger)?;
        convert::opt_time("slot", m.slot)?;
        convert::opt_text("idempotency_key", m.idempotency_key)?;
        done(convert::selection(m.selection))
    });
    read(bytes, F, |m: v1::GetRunRequest| {
        done(convert::run_id(m.run_id))
    });
    read(bytes, F, |m: v1::CancelRequest| {
        convert::run_id(m.run_id)?;
        done(convert::text("reason", m.reason))
    });
    read(bytes, F, |m: v1::StandingRequest| {
        convert::list("run_ids", m.run_ids, 10_000, convert::run_id)?;
        done(convert::dataset_id(m.dataset))
    });
    read(bytes, F, |m: v1::ResultsRequest| {
        done(convert::dataset_id(m.dataset))
    });
    read(bytes, F, |m: v1::HistoryRequest| {
        done(convert::word::<assay_model::metric::Metric>(
            "metric", m.metric,
        ))
    });
    read(bytes, F, |m: v1::DrainNodeRequest| {
        done(convert::name("node", m.node))
    });
    read(bytes, F, |m: v1::SubmitDefinitionRequest| {
        done(convert::definition(m.definition_json))
    });
    read(bytes, F, |m: v1::KeepFeedbackRequest| {
        convert::feedback_id(m.id)?;
        let draft = convert::present("draft", m.draft)?;
        convert::word::<assay_model::feedback::FeedbackKind>("kind", draft.kind)?;
        convert::name("from", draft.from)?;
        done(convert::dataset_id(draft.dataset))
    });
    read(bytes, F, |m: v1::AddSubscriptionRequest| {
        convert::name("by", m.by)?;
        let (id, at) = (uuid::Uuid::nil(), jiff::Timestamp::UNIX_EPOCH);
        let made = convert::new_subscription(m.subscription, id, String::new(), at);
        done(made.map(|made| convert::subscription_of(&made)))
    });
    read(bytes, F, |m: v1::ChangeCauseRequest| {
        use v1::change_cause_request::Wish;
        convert::notice_id("inc", m.id)?;
        match m.wish {
            Some(Wish::MuteUntil(until)) => done(convert::time("mute_until", Some(until))),
            Some(Wish::Assign(who)) => done(convert::opt_text("assign", who)),
            Some(Wish::Note(text)) => done(convert::text("note", text)),
            _ => Ok(()),
        }
    });
    read(bytes, F, |m: v1::ScaleRequest| {
        let _ = m;
        Ok(())
    });
}

/// What nodes and clients read.
fn as_answers(bytes: &[u8]) {
    const F: u64 = ANSWER_FACTOR;
    read(bytes, F, |m: v1::ManagerMessage| {
        use v1::manager_message::Kind;
        match m.kind {
            Some(Kind::Assign(assign)) => done(convert::token(assign.token)),
            Some(Kind::Cancel(token)) => done(convert::token(Some(token))),
            _ => Ok(()),
        }
    });
    read(bytes, F, |m: v1::Run| done(convert::run(m)));
    read(bytes, F, |m: v1::GetRunResponse| {
        m.run.map_or(Ok(()), |run| done(convert::run(run)))
    });
    read(bytes, F, |m: v1::ListRunsResponse| {
        m.runs
            .into_iter()
            .try_for_each(|run| done(convert::run(run)))
    });
    read(bytes, F, |m: v1::RunEvent| {
        let _ = m;
        Ok(())
    });
    read(bytes, F, |m: v1::StatusResponse| {
        let _ = m;
        Ok(())
    });
    read(bytes, F, |m: v1::HistoryResponse| {
        m.series.into_iter().try_for_each(|series| {
            for point in series.points {
                convert::partition(point.partition)?;
                convert::value(point.value)?;
                point.limits.map(convert::limits).transpose()?;
            }
            done(convert::key(series.key))
        })
    });
    read(bytes, F, |m: v1::StandingResponse| {
        m.judged.map(convert::counts).transpose()?;
        m.results
            .into_iter()
            .try_for_each(|result| done(convert::check_result(result)))
    });
    read(bytes, F, |m: v1::Result| done(convert::check_result(m)));
    read(bytes, F, |m: v1::Limits| done(convert::limits(m)));
    read(bytes, F, |m: v1::Incident| done(convert::incident(m)));
    read(bytes, F, |m: v1::FeedbackResponse| {
        convert::feedback(m.feedback)?;
        done(convert::backtest(m.backtest))
    });
    read(bytes, F, |m: v1::LedgerEntry| {
        done(convert::ledger_entry(m))
    });
}

/// What lies in the state of record as JSON.
fn as_rows(text: &str) {
    fn one<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) {
        let taken = measure(|| {
            if let Ok(value) = serde_json::from_str::<T>(text) {
                // What was read can be written, and is read again.
                let written = serde_json::to_string(&value).unwrap();
                assert!(serde_json::from_str::<T>(&written).is_ok(), "{written}");
            }
        });
        let allowed = FIXED + ANSWER_FACTOR * text.len() as u64;
        assert!(
            taken.bytes_max <= allowed,
            "{} bytes take {}",
            text.len(),
            taken.bytes_max
        );
    }
    one::<Dataset>(text);
    one::<TaskSpec>(text);
    one::<Selection>(text);
    one::<Discovery>(text);
    one::<Evaluation>(text);
    one::<LedgerEntry>(text);
    one::<Limits>(text);
    one::<Cause>(text);
    one::<Subscription>(text);
    one::<Told>(text);
    one::<Vec<u32>>(text);
    if let Ok(dataset) = convert::definition(text.to_owned()) {
        assert_eq!(dataset.digest(), dataset.clone().digest());
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        as_requests(&bytes);
        as_answers(&bytes);
        as_rows(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn altered_messages_are_read_or_refused(which: prop::sample::Index, alterations in changes()) {
        let all = samples::messages();
        let bytes = changed(&all, which.index(all.len()), &alterations);
        as_requests(&bytes);
        as_answers(&bytes);
    }

    #[test]
    fn altered_rows_are_read_or_refused(which: prop::sample::Index, alterations in changes()) {
        let all = samples::rows();
        let bytes = changed(&all, which.index(all.len()), &alterations);
        as_rows(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn altered_numbers_of_a_row_are_read_or_refused(
        which: prop::sample::Index,
        at: prop::sample::Index,
        number in prop::sample::select(vec!["-1", "0", "4294967296", "18446744073709551615", "1e999", "-0.0", "1e-400", "null", "\"\"", "[]", "{}"]),
    ) {
        let all = samples::rows();
        let text = String::from_utf8(all[which.index(all.len())].clone()).unwrap();
        as_rows(&samples::with_number(&text, at, number));
    }
}

/// Lists of the emptiest items there are: the most memory for a byte.
#[test]
fn a_message_of_empty_items_takes_memory_in_proportion() {
    for number in 1..20_u8 {
        let flat = [number << 3 | 2, 0].repeat(100_000);
        as_requests(&flat);
        as_answers(&flat);
        // The same one level below, as a hello and a heartbeat have them.
        for around in 1..20_u8 {
            let inner = [number << 3 | 2, 0].repeat(2_000);
            let mut bytes = vec![around << 3 | 2];
            prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
            bytes.extend(inner);
            as_requests(&bytes);
            as_answers(&bytes);
        }
    }
}

#[test]
fn a_message_nested_without_end_is_refused() {
    // `Connect` says nothing that holds itself, so unknown groups are what can be nested.
    let groups = [vec![0x0B; 200_000], vec![0x0C; 200_000]].concat();
    assert!(v1::NodeMessage::decode(groups.as_slice()).is_err());
    for open in ["[", "{\"a\":", "[{\"a\":["] {
        let text = open.repeat(200_000);
        assert!(convert::definition(text).is_err());
    }
}

#[test]
fn every_sample_is_read_as_what_it_is() {
    for bytes in samples::rows() {
        as_rows(std::str::from_utf8(&bytes).unwrap());
    }
    samples::are_good();
    let untouched = changed(&samples::messages(), 0, &[Change::Nothing]);
    assert_eq!(untouched, samples::messages()[0]);
}
