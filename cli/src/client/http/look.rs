//! A look at a gateway for `assay doctor`: what it is, its clock, who it takes this end for.

use assay_answers::Told as Aged;
use assay_answers::overview::{Me, Version};
use jiff::{SignedDuration, Timestamp};

use super::super::port::Answer;
use super::Http;
use super::call::Ask;
use super::problem::unreadable;

/// What a gateway says of itself.
#[derive(Debug)]
pub struct Look {
    /// Its build.
    pub version: Version,
    /// How far this machine's clock is ahead of its clock.
    pub ahead: SignedDuration,
}

/// How far this machine is ahead of a clock that stood at `there` between two instants here.
fn ahead(before: Timestamp, there: Timestamp, after: Timestamp) -> SignedDuration {
    let half = after.duration_since(before) / 2;
    before.duration_since(there) + half
}

impl Http {
    /// What it is, and what its clock says.
    pub async fn look(&self) -> Answer<Look> {
        let told = self.told(&Ask::get(&["version"])).await?;
        let version: Aged<Version> =
            serde_json::from_slice(&told.body).map_err(|why| unreadable(self, &why.to_string()))?;
        Ok(Look {
            ahead: ahead(told.asked, version.as_of, told.answered),
            version: version.it,
        })
    }

    /// Who it takes this end for.
    pub async fn me(&self) -> Answer<Me> {
        self.ask(&Ask::get(&["me"])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_told_from_the_middle_of_the_way() {
        let at = |text: &str| text.parse().unwrap();
        let (before, after) = (at("2026-01-01T00:00:10Z"), at("2026-01-01T00:00:12Z"));
        let of = |there| ahead(before, at(there), after).as_secs();
        assert_eq!(of("2026-01-01T00:00:11Z"), 0);
        assert_eq!(of("2026-01-01T00:00:05Z"), 6);
        assert_eq!(of("2026-01-01T00:01:11Z"), -60);
    }
}
