@0xa97c92622f524739;
# Topic `generations`, compacted, one partition: the log that the flip protocol folds in its order. The key
# names the kind, the generation and who wrote it, so nobody overwrites another's record.

struct GenerationEvent {
  union {
    opened @0 :Opened;           # key opened/<generation>/<flipper>
    heartbeat @1 :Heartbeat;     # key writer/<writer>/<incarnation>
    sealed @2 :Sealed;           # key sealed/<generation>/<writer>/<incarnation>
    draining @3 :Draining;       # key draining/<generation>/<flipper>
    settled @4 :Settled;         # key verdict/<generation>/<flipper>
    failed @5 :Failed;           # key verdict/<generation>/<flipper>
    replayAsked @6 :ReplayAsked; # key replay-asked/<generation>/<flipper>
    replayed @7 :Replayed;       # key replayed/<generation>/<flipper>
  }
}

struct PartitionOffset {
  partition @0 :Int32;         # of the topic cache-misses
  offset @1 :Int64;            # next offset to read
}

struct OffsetInterval {
  partition @0 :Int32;         # of the topic cache-misses
  from @1 :Int64;              # first offset
  to @2 :Int64;                # first offset behind it
}

struct NodeSeen {
  nodeId @0 :Text;             # its id in the cluster, 40 hex digits
  runId @1 :Text;              # new at each start of the process
  role @2 :Role;               # as the node itself says
  replicationId @3 :Text;      # master_replid: changes with promotion, demotion and restart
  evictedKeys @4 :UInt64;      # since the process started

  enum Role {
    master @0;
    replica @1;
  }
}

struct Opened {
  generation @0 :UInt64;                     # becomes the active one
  flipper @1 :UInt64;                        # incarnation
  openedAtMs @2 :UInt64;                     # Unix milliseconds; ages are told from it, nothing else
  closedThrough @3 :Int64;                   # every generation up to it is closed and tombstoned; -1: none
  startOffsets @4 :List(PartitionOffset);    # committed by the ingest group just before
  nodes @5 :List(NodeSeen);                  # of the generation's cluster, those that answered
}

struct Heartbeat {
  writer @0 :Text;             # the ingestor's host name
  incarnation @1 :UInt64;      # new at each start
  sequence @2 :UInt64;         # 1, 2, 3 … of this incarnation
  firstGeneration @3 :UInt64;  # the lowest generation it could write under
}

struct Sealed {
  generation @0 :UInt64;                     # nothing more is written under it by this incarnation
  writer @1 :Text;                           # the ingestor's host name
  incarnation @2 :UInt64;                    # of the ingestor
  newKeys @3 :UInt64;                        # SETs answered "new"
  newHashHigh @4 :UInt64;                    # wrapping sum of the new names' 128-bit hashes: upper half
  newHashLow @5 :UInt64;                     # lower half
  repeatedKeys @6 :UInt64;                   # SETs answered "repeated"
  unknown @7 :UInt64;                        # copies sent without an answer of their own that counted
  live @8 :List(OffsetInterval);             # consumed live under it
  replayed @9 :List(ReplayProgress);         # read again under it, for failed generations
  isFinal @10 :Bool;                         # the writer leaves
}

struct ReplayProgress {
  generation @0 :UInt64;                     # that failed
  intervals @1 :List(OffsetInterval);        # of its range, written under the sealed one
}

struct Draining {
  generation @0 :UInt64;       # is being drained
  flipper @1 :UInt64;          # incarnation
}

struct Settled {
  generation @0 :UInt64;       # every hint of it is durable in Kafka and gone from Redis
  flipper @1 :UInt64;          # incarnation
  keys @2 :UInt64;             # names of it that were drained
  batches @3 :UInt64;          # acknowledged batches
  lateKeys @4 :UInt64;         # names of older generations, drained with it
  mergedKeys @5 :UInt64;       # names that stood under two generations and were emitted once
  audited @6 :Bool;            # the books were exact and agreed
}

struct Failed {
  generation @0 :UInt64;                     # part of it may be lost
  flipper @1 :UInt64;                        # incarnation
  reason @2 :Reason;                         # why
  range @3 :List(OffsetInterval);            # input to read again
  keys @4 :UInt64;                           # names of it that were drained
  batches @5 :UInt64;                        # acknowledged batches
  lateKeys @6 :UInt64;                       # names of older generations, drained with it
  mergedKeys @7 :UInt64;                     # names that stood under two generations and were emitted once

  enum Reason {
    nodeChanged @0;            # run id, role or replication id of a node changed
    nodeUnknown @1;            # a slot is owned by a node that Opened does not name
    evicted @2;                # Redis evicted keys
    shortfall @3;              # fewer keys drained than writers made
    mismatch @4;               # exact books that do not agree
    inexact @5;                # strict books that could not be exact
    unreachable @6;            # the cluster was out of reach
  }
}

struct ReplayAsked {
  generation @0 :UInt64;                     # to read again, asked for by hand
  flipper @1 :UInt64;                        # incarnation
  range @2 :List(OffsetInterval);            # input to read again
}

struct Replayed {
  generation @0 :UInt64;       # its range stands in settled generations
  flipper @1 :UInt64;          # incarnation
}
