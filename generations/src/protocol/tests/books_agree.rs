//! The verdict on a drained generation, sign by sign.

use hint_schema::generation_event::{
    Draining, FailedReason, GenerationEvent, Incarnation, NodeSeen, Opened, Role, Sealed,
};

use crate::protocol::books::{BooksPolicy, DrainReport, Judgement, judge};
use crate::protocol::history::History;

fn node(id: &str) -> NodeSeen {
    NodeSeen {
        node_id: id.to_owned(),
        run_id: "run".to_owned(),
        role: Role::Master,
        replication_id: "replication".to_owned(),
        evicted_keys: 0,
    }
}

fn sealed(writer: u64, new_keys: u64, new_hash: u128, unknown: u64) -> GenerationEvent {
    GenerationEvent::Sealed(Sealed {
        generation: 4,
        writer: format!("w{writer}"),
        incarnation: Incarnation(writer),
        new_keys,
        new_hash,
        repeated_keys: 0,
        unknown,
        live: Vec::new(),
        replayed: Vec::new(),
        is_final: false,
    })
}

fn history(flippers: u64, seals: &[GenerationEvent]) -> History {
    let mut history = History::default();
    history.apply(&GenerationEvent::Opened(Opened {
        generation: 4,
        flipper: Incarnation(9),
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: vec![node("n0"), node("n1")],
    }));
    for flipper in 0..flippers {
        history.apply(&GenerationEvent::Draining(Draining {
            generation: 4,
            flipper: Incarnation(flipper),
        }));
    }
    seals.iter().for_each(|seal| history.apply(seal));
    history
}

fn report(keys: u64, hash: u128) -> DrainReport {
    DrainReport {
        keys,
        hash,
        nodes: vec![node("n0"), node("n1")],
        slot_owners: vec!["n0".to_owned(), "n1".to_owned()],
        ..DrainReport::default()
    }
}

fn verdict(history: &History, report: &DrainReport, everyone_sealed: bool) -> Judgement {
    judge(
        history.generation(4).unwrap(),
        report,
        everyone_sealed,
        BooksPolicy::Visible,
    )
}

#[test]
fn equal_counts_and_sums_settle_as_audited() {
    let history = history(1, &[sealed(0, 2, 30, 0), sealed(1, 1, u128::MAX, 0)]);
    assert_eq!(
        verdict(&history, &report(3, 29), true),
        Judgement::Settle { audited: true }
    );
}

#[test]
fn an_equal_count_with_another_sum_fails() {
    let history = history(1, &[sealed(0, 2, 30, 0)]);
    assert_eq!(
        verdict(&history, &report(2, 31), true),
        Judgement::Fail(FailedReason::Mismatch)
    );
}

#[test]
fn a_shortfall_is_a_loss_sign_even_when_the_books_are_inexact() {
    let history = history(1, &[sealed(0, 5, 50, 3)]);
    assert_eq!(
        verdict(&history, &report(4, 40), false),
        Judgement::Fail(FailedReason::Shortfall)
    );
}

#[test]
fn a_shortfall_after_a_second_draining_is_inexact_and_no_loss() {
    let history = history(2, &[sealed(0, 5, 50, 0)]);
    assert_eq!(
        verdict(&history, &report(2, 20), true),
        Judgement::Settle { audited: false }
    );
}

#[test]
fn unknown_answers_and_missing_seals_and_lost_unlinks_settle_unaudited() {
    let unaudited = Judgement::Settle { audited: false };
    assert_eq!(
        verdict(&history(1, &[sealed(0, 1, 1, 1)]), &report(2, 2), true),
        unaudited
    );
    assert_eq!(
        verdict(&history(1, &[sealed(0, 1, 1, 0)]), &report(1, 1), false),
        unaudited
    );
    let lost_unlink = DrainReport {
        unlink_unknown: true,
        ..report(1, 1)
    };
    assert_eq!(
        verdict(&history(1, &[sealed(0, 1, 1, 0)]), &lost_unlink, true),
        unaudited
    );
}

#[test]
fn strict_books_fail_what_cannot_be_audited() {
    let history = history(1, &[sealed(0, 1, 1, 1)]);
    let judgement = judge(
        history.generation(4).unwrap(),
        &report(1, 1),
        true,
        BooksPolicy::Strict,
    );
    assert_eq!(judgement, Judgement::Fail(FailedReason::Inexact));
}

#[test]
fn every_change_of_a_node_is_a_loss_sign() {
    let history = history(1, &[sealed(0, 1, 1, 0)]);
    let with = |change: fn(&mut NodeSeen)| {
        let mut report = report(1, 1);
        change(report.nodes.last_mut().unwrap());
        verdict(&history, &report, true)
    };
    let changed = Judgement::Fail(FailedReason::NodeChanged);
    assert_eq!(with(|node| node.run_id = "other".to_owned()), changed);
    assert_eq!(with(|node| node.role = Role::Replica), changed);
    assert_eq!(with(|node| node.replication_id = "other".to_owned()), changed);
    assert_eq!(
        with(|node| node.evicted_keys = 1),
        Judgement::Fail(FailedReason::Evicted)
    );
}

#[test]
fn a_slot_owner_that_opened_did_not_see_is_a_loss_sign() {
    let history = history(1, &[sealed(0, 1, 1, 0)]);
    let mut stranger = report(1, 1);
    stranger.slot_owners.push("n2".to_owned());
    assert_eq!(
        verdict(&history, &stranger, true),
        Judgement::Fail(FailedReason::NodeUnknown)
    );
}
