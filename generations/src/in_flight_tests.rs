//! The order of answers, without a socket.

use std::sync::Arc;

use messagebus::clock::BootInstant;

use super::*;
use crate::chunk::{ChunkAnswer, Purpose};
use crate::pool::Pool;
use crate::value::AgeValue;

fn chunk(pool: &Arc<Pool>, tag: u64, names: &[&str]) -> Chunk {
    let purpose = Purpose {
        generation: 0,
        tag,
        send_until: BootInstant::now(),
        map_version: 0,
    };
    let mut chunk = pool.take(purpose).unwrap();
    for name in names {
        chunk.push(name.as_bytes(), AgeValue::OPENED, tag);
    }
    chunk
}

fn write_all(wire: &mut InFlight) {
    wire.wrote(wire.to_write().len());
}

fn outcomes(chunk: &Chunk) -> Vec<Outcome> {
    chunk.sets().map(|set| set.outcome).collect()
}

#[test]
fn answers_belong_to_sets_in_order() {
    let pool = Arc::new(Pool::default());
    let mut wire = InFlight::default();
    wire.begin(chunk(&pool, 1, &["a", "b"]), Instant::now());
    assert!(
        !wire.has_room(),
        "a chunk that is not written yet keeps the next one back"
    );
    write_all(&mut wire);
    wire.begin(chunk(&pool, 2, &["c"]), Instant::now());
    write_all(&mut wire);

    let (used, answered) = wire.read(b"+OK\r\n$-", "h").unwrap();
    assert_eq!((used, answered.is_none()), (5, true));
    let (used, answered) = wire.read(b"$-1\r\n-OOM full\r\n", "h").unwrap();
    let first = answered.unwrap();
    assert_eq!((used, first.chunk.purpose.tag, first.error), (5, 1, None));
    assert_eq!(outcomes(&first.chunk), [Outcome::New, Outcome::Repeated]);
    let second = wire.read(b"-OOM full\r\n", "h").unwrap().1.unwrap();
    assert_eq!(outcomes(&second.chunk), [Outcome::Blocked(Block::OutOfMemory)]);
    assert_eq!(second.error, Some(ErrorKind::OutOfMemory));
    assert!(wire.oldest().is_none());
}

#[test]
fn what_has_no_answer_of_its_own_is_unanswered() {
    let pool = Arc::new(Pool::default());
    let mut wire = InFlight::default();
    wire.begin(chunk(&pool, 1, &["a", "b"]), Instant::now());
    write_all(&mut wire);
    wire.begin(chunk(&pool, 2, &["c"]), Instant::now());
    assert!(wire.read(b"+OK\r\n", "h").unwrap().1.is_none());

    let left: Vec<_> = wire
        .abandon()
        .map(|chunk| ChunkAnswer::of(chunk, BootInstant::now()))
        .collect();
    assert_eq!(
        left.iter()
            .map(|answer| (answer.new, answer.unanswered))
            .collect::<Vec<_>>(),
        [(1, 1), (0, 1)]
    );
    assert!(wire.oldest().is_none() && wire.has_room());
    drop(left);
    assert_eq!(pool.out(), 0);
}

#[test]
fn what_a_node_refuses_is_not_written_and_waits() {
    let pool = Arc::new(Pool::default());
    for (line, block) in [
        ("-NOPERM this user has no permissions to run SET", Block::Refused),
        (
            "-READONLY You can't write against a read only replica.",
            Block::Refused,
        ),
        (
            "-MISCONF Redis is configured to save RDB snapshots",
            Block::Refused,
        ),
        ("-OOM command not allowed", Block::OutOfMemory),
        ("-CLUSTERDOWN The cluster is down", Block::ClusterDown),
        ("-LOADING Redis is loading the dataset in memory", Block::Loading),
        (
            "-NOREPLICAS Not enough good replicas to write.",
            Block::NoReplicas,
        ),
    ] {
        let mut wire = InFlight::default();
        wire.begin(chunk(&pool, 1, &["a"]), Instant::now());
        write_all(&mut wire);
        let answer = format!("{line}\r\n");
        let answered = wire.read(answer.as_bytes(), "h").unwrap().1.unwrap();
        assert_eq!(outcomes(&answered.chunk), [Outcome::Blocked(block)], "{line}");
    }
}

#[test]
fn redirections_name_their_target() {
    let pool = Arc::new(Pool::default());
    let mut wire = InFlight::default();
    wire.begin(chunk(&pool, 1, &["a", "b", "c"]), Instant::now());
    write_all(&mut wire);
    let read = wire
        .read(b"-MOVED 1 h:1\r\n-ASK 1 :7002\r\n-TRYAGAIN later\r\n", "asked")
        .unwrap();
    let answered = read.1.unwrap();
    assert!(answered.moved);
    assert_eq!(outcomes(&answered.chunk), [Outcome::Retry; 3]);
    let target = Address {
        host: "asked".to_owned(),
        port: 7002,
    };
    assert_eq!(answered.chunk.asked, [(1, target)]);
}

#[test]
fn an_answer_too_many_breaks_the_connection() {
    let mut wire = InFlight::default();
    assert_eq!(wire.read(b"+OK\r\n", "h").unwrap_err(), Broken);
    assert_eq!(wire.read(b"+PONG\r\n", "h").unwrap_err(), Broken);
}

#[test]
fn only_so_many_chunks_are_begun() {
    let pool = Arc::new(Pool::default());
    let mut wire = InFlight::default();
    for tag in 0..MAX_BEGUN as u64 {
        assert!(wire.has_room());
        wire.begin(chunk(&pool, tag, &["a"]), Instant::now());
        write_all(&mut wire);
    }
    assert!(!wire.has_room());
}

#[test]
fn the_sums_are_over_the_new_names_alone() {
    let pool = Arc::new(Pool::default());
    let mut answered = chunk(&pool, 9, &["a", "b", "c", "d", "e"]);
    let fates = [
        Outcome::New,
        Outcome::Repeated,
        Outcome::New,
        Outcome::Retry,
        Outcome::Blocked(Block::Loading),
    ];
    for (index, outcome) in fates.into_iter().enumerate() {
        answered.settle(index, outcome);
    }
    let answer = ChunkAnswer::of(answered, BootInstant::now());
    let hash = |name: &[u8]| crate::key::name_hash(name);
    assert_eq!(
        (answer.new, answer.new_hash),
        (2, hash(b"a").wrapping_add(hash(b"c")))
    );
    assert_eq!(
        (answer.repeated, answer.retry, answer.blocked, answer.unanswered),
        (1, 1, 1, 0)
    );
    assert_eq!(answer.block, Some(Block::Loading));
    assert!(!answer.is_complete());
    assert_eq!(
        answer.chunk.sets().map(|set| set.mark).collect::<Vec<_>>(),
        [9; 5]
    );
}
