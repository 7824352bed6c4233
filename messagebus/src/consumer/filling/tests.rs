use prometheus::Gauge;

use super::*;

fn filling() -> Filling {
    let gauge = Gauge::new("buffer_bytes", "help").unwrap();
    Filling::new(
        Arc::new(Buffer::new(1 << 20, gauge, None)),
        100,
        Duration::from_millis(50),
    )
}

fn view(assignment: u64, epoch: u64, done: Option<i64>) -> View {
    View {
        partition: 0,
        assignment,
        epoch,
        done,
        stopped: false,
    }
}

fn push(filling: &mut Filling, partition: i32, offset: i64) {
    let record = Record {
        partition,
        offset,
        timestamp_ms: offset * 10,
        key: None,
        payload: b"payload",
    };
    filling.push(&record, Instant::now);
}

fn span(filling: &mut Filling) -> Span {
    let (_, spans) = filling.close().unwrap();
    assert_eq!(spans.len(), 1);
    spans[0].span
}

#[test]
fn consecutive_spans_touch_and_gaps_count() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 0, 5);
    push(&mut filling, 0, 9);
    let first = span(&mut filling);
    assert_eq!(
        (first.from, first.to, first.records, first.first_timestamp_ms),
        (5, 10, 2, 50)
    );
    push(&mut filling, 0, 12);
    let second = span(&mut filling);
    assert_eq!(
        (second.from, second.to, second.records, second.first_timestamp_ms),
        (10, 13, 1, 120)
    );
}

#[test]
fn a_partition_that_is_not_held_leaves_no_trace() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 7, 5);
    assert!(filling.close().is_none());
}

#[test]
fn a_new_epoch_takes_records_only_after_its_seek() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 0, 5);
    assert_eq!(span(&mut filling).to, 6);
    assert_eq!(filling.follow(&[view(1, 2, Some(3))]), [(0, 3)]);
    push(&mut filling, 0, 6);
    assert!(filling.close().is_none());
    assert!(filling.waits_for_seek());
    filling.sought(0, 3);
    push(&mut filling, 0, 4);
    let rewound = span(&mut filling);
    assert_eq!((rewound.epoch, rewound.from, rewound.to), (2, 3, 5));
}

#[test]
fn a_rewind_before_anything_is_done_leads_to_the_first_record() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 0, 5);
    push(&mut filling, 0, 6);
    drop(filling.close());
    assert_eq!(filling.follow(&[view(1, 2, None)]), [(0, 5)]);
    filling.sought(0, 5);
    assert_eq!(filling.follow(&[view(1, 3, None)]), [(0, 5)]);
}

#[test]
fn a_rewind_before_the_first_record_seeks_nowhere() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    assert!(filling.follow(&[view(1, 2, None)]).is_empty());
    push(&mut filling, 0, 5);
    assert_eq!(span(&mut filling).epoch, 2);
}

#[test]
fn a_seek_that_failed_is_due_again() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 0, 5);
    drop(filling.close());
    assert_eq!(filling.follow(&[view(1, 2, Some(6))]), [(0, 6)]);
    assert_eq!(filling.follow(&[view(1, 2, Some(6))]), [(0, 6)]);
}

#[test]
fn a_record_from_before_the_seek_is_left_out() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 0, 5);
    drop(filling.close());
    filling.follow(&[view(1, 2, Some(3))]);
    filling.sought(0, 3);
    push(&mut filling, 0, 2);
    assert!(filling.close().is_none());
    push(&mut filling, 0, 3);
    assert_eq!(span(&mut filling).from, 3);
}

#[test]
fn another_assignment_forgets_the_place() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    push(&mut filling, 0, 50);
    drop(filling.close());
    assert!(filling.follow(&[view(2, 2, None)]).is_empty());
    push(&mut filling, 0, 5);
    assert_eq!(span(&mut filling).from, 5);
}

#[test]
fn a_batch_is_due_its_wait_after_the_first_record() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    assert_eq!(filling.time_left(Instant::now()), None);
    push(&mut filling, 0, 1);
    let left = filling.time_left(Instant::now() + Duration::from_secs(1));
    assert_eq!(left, Some(Duration::ZERO));
}

#[test]
fn a_batch_is_full_at_its_number_of_records() {
    let mut filling = filling();
    filling.follow(&[view(1, 1, None)]);
    (0..99).for_each(|offset| push(&mut filling, 0, offset));
    assert!(!filling.is_full());
    push(&mut filling, 0, 99);
    assert!(filling.is_full());
}
