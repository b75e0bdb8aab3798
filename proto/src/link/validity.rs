//! How long a certificate holds, by its DER.
//!
//! Comes in: a certificate. Goes out: the last moment of its validity. It must never panic on bytes
//! that are none, nor judge whether the certificate is to be believed: that is for rustls.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio_rustls::rustls::pki_types::CertificateDer;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// `[0]`, which holds the version.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// One value of DER: its tag, its content, and what comes after it (X.690 §8.1, definite lengths).
fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().try_fold(0_usize, |sum, digit| {
                Some(sum.checked_mul(256)? + usize::from(*digit))
            })?;
            (length, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// The content of the next value if it has `tag`, and what comes after it.
fn of(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, after) = value(bytes)?;
    (found == tag).then_some((content, after))
}

/// The last moment that the certificate holds (RFC 5280 §4.1.2.5); `None` when it cannot be read.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (whole, _) = of(SEQUENCE, certificate)?;
    let (signed, _) = of(SEQUENCE, whole)?;
    let after_version = of(VERSION, signed).map_or(signed, |(_, after)| after);
    let (_serial, rest) = of(INTEGER, after_version)?;
    let (_algorithm, rest) = of(SEQUENCE, rest)?;
    let (_issuer, rest) = of(SEQUENCE, rest)?;
    let (validity, _) = of(SEQUENCE, rest)?;
    let (_, _, rest) = value(validity)?;
    let (tag, text, _) = value(rest)?;
    let text = std::str::from_utf8(text).ok()?;
    let parsed = match tag {
        // Two digits of the year: 50 and above are of the last century.
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? >= 50 {
                "19"
            } else {
                "20"
            };
            DateTime::strptime("%Y%m%d%H%M%SZ", format!("{century}{text}"))
        }
        GENERALIZED_TIME => DateTime::strptime("%Y%m%d%H%M%SZ", text),
        _ => return None,
    };
    Some(parsed.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 3, 4);
        let pair = KeyPair::generate().unwrap();
        params.self_signed(&pair).unwrap().der().clone()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        for year in [1999, 2031, 2049, 2050, 2199] {
            let expected: Timestamp = format!("{year}-03-04T00:00:00Z").parse().unwrap();
            assert_eq!(not_after(&certificate(year)), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_certificate_do_no_harm(
            cut in 0_usize..600, at in 0_usize..600, byte in any::<u8>()
        ) {
            let mut bytes = certificate(2031).to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            let _ = not_after(&CertificateDer::from(bytes));
        }
    }
}
