//! (A) and (B): what one living ingestor says of itself. Pure.
//!
//! A scrape is no moment: its figures are read one after another. So three follow each other, and the gauge of the
//! middle one, read at some moment between the first and the last, is compared with counters that only grow: each
//! stood somewhere between its first and its last value then. What no value in between explains remains.

use crate::scrape::Scrape;

/// Three looks at one process, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Triple(pub(crate) [Scrape; 3]);

/// One book of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// What came in.
    pub(crate) left: u64,
    /// What became of it.
    pub(crate) right: u64,
    /// Being worked on.
    pub(crate) in_flight: u64,
    /// What no moment between the looks explains.
    pub(crate) residue: u64,
}

/// Counters that grow from the first to the last look.
#[derive(Clone, Copy)]
struct Range {
    first: i128,
    last: i128,
}

impl Triple {
    /// (A): polled + read again = accepted + rejected + filtered + dropped + in flight.
    pub(crate) fn records(&self, group: &str) -> Balance {
        self.balance(
            |scrape| {
                scrape.sum("kafka_consumer_messages_total", &[("group", group)])
                    + scrape.sum("ingestor_reread_records_total", &[])
            },
            |scrape| scrape.sum("ingestor_records_total", &[]),
            |scrape| scrape.sum("buffer_records", &[]),
        )
    }

    /// (B): accepted = new + repeated + repeated in process + unknown + in flight.
    pub(crate) fn urls(&self) -> Balance {
        self.balance(
            |scrape| scrape.sum("ingestor_records_total", &[("outcome", "accepted")]),
            |scrape| scrape.sum("ingestor_urls_total", &[]),
            |scrape| scrape.sum("ingestor_in_flight_urls", &[]),
        )
    }

    fn balance(
        &self,
        left: impl Fn(&Scrape) -> f64,
        right: impl Fn(&Scrape) -> f64,
        in_flight: impl Fn(&Scrape) -> f64,
    ) -> Balance {
        let [first, middle, last] = &self.0;
        let range = |figure: &dyn Fn(&Scrape) -> f64| Range {
            first: rounded(figure(first)),
            last: rounded(figure(last)),
        };
        let (left, right, held) = (range(&left), range(&right), rounded(in_flight(middle)));
        let least = left.first - right.last - held;
        let most = left.last - right.first - held;
        let residue = if least > 0 {
            least
        } else if most < 0 {
            -most
        } else {
            0
        };
        Balance {
            left: count(left.last),
            right: count(right.last),
            in_flight: count(held),
            residue: count(residue),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "counters stay below 2^52")]
fn rounded(counter: f64) -> i128 {
    counter.round() as i128
}

fn count(number: i128) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(polled: u32, judged: u32, held: u32) -> Scrape {
        let text = format!(
            "# TYPE crawlerhints_kafka_consumer_messages_total counter\n\
             crawlerhints_kafka_consumer_messages_total{{group=\"g\",partition=\"0\"}} {polled}\n\
             # TYPE crawlerhints_ingestor_records_total counter\n\
             crawlerhints_ingestor_records_total{{outcome=\"accepted\"}} {judged}\n\
             # TYPE crawlerhints_buffer_records gauge\n\
             crawlerhints_buffer_records {held}\n"
        );
        Scrape::parse(&text).unwrap()
    }

    fn residue(scrapes: [Scrape; 3]) -> u64 {
        Triple(scrapes).records("g").residue
    }

    #[test]
    fn what_moved_between_the_looks_is_no_residue() {
        assert_eq!(
            residue([scrape(10, 4, 6), scrape(12, 9, 3), scrape(20, 18, 2)]),
            0
        );
    }

    #[test]
    fn what_nobody_holds_remains_in_either_direction() {
        assert_eq!(residue([scrape(10, 4, 1), scrape(10, 4, 1), scrape(10, 4, 1)]), 5);
        assert_eq!(residue([scrape(4, 10, 0), scrape(4, 10, 0), scrape(5, 11, 0)]), 5);
        assert_eq!(
            residue([scrape(10, 10, 0), scrape(10, 10, 3), scrape(10, 10, 0)]),
            3
        );
    }
}
