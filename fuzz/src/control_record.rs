//! What the services tell each other: records of `generations` and `zones`, names and values in Redis.

use generations::protocol::History;
use generations::{AgeValue, Name};
use hint_schema::Zone;
use hint_schema::generation_event::GenerationEvent;
use ingestor::zones::ZoneTable;

/// What decodes is encoded to the same, and folding it, whatever it says, ends.
pub fn check(input: &[u8]) {
    if let Ok(event) = GenerationEvent::decode(input) {
        let again = GenerationEvent::decode(&event.encode());
        assert_eq!(again.expect("what was encoded decodes"), event);
        fold(&event);
    }
    if let Ok(zone) = Zone::decode(input) {
        assert_eq!(
            Zone::decode(&zone.encode()).expect("what was encoded decodes"),
            zone
        );
        let key = zone.id.to_string();
        let taken = ZoneTable::default().apply(key.as_bytes(), Some(input));
        assert!(taken.is_ok(), "a zone under its own key");
    }
    if let Some(name) = Name::parse(input) {
        let mut again = Vec::new();
        name.encode(&mut again);
        assert_eq!(again, input, "two names for one key");
    }
    if let Some(age) = AgeValue::parse(input) {
        assert_eq!(age.get().to_string().as_bytes(), input);
    }
}

/// Takes the event in and asks all that readers of the log ask.
fn fold(event: &GenerationEvent) {
    let mut history = History::default();
    history.apply(event);
    history.apply(event);
    if let Some(generation) = event.generation() {
        let judged = history.is_judged(generation);
        history.apply(event);
        assert_eq!(judged, history.is_judged(generation), "a verdict that changes");
        let _covered = history.replay_is_covered(generation);
        let _read = history.read_again(generation);
        let _missing = history.missing_seals(generation);
    }
    for (_, range) in history.open_replays() {
        assert!(range.intervals().iter().all(|interval| range.contains(interval)));
    }
    let _closed = history.closed_below();
    for key in history.garbage() {
        history.tombstone(&key);
    }
    history.tombstone(&event.key());
}
