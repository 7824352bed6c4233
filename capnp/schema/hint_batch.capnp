@0xa6d8488809701ecf;
# Topic `batches`, key: the partition's range of CRC16 of the bare host. URLs of one generation, whole hosts.

struct HintBatch {
  id @0 :Data;                 # 16 random bytes; only a byte-identical re-send uses them again
  generation @1 :UInt64;       # the generation that was drained
  createdAtMs @2 :UInt64;      # when it was assembled, Unix milliseconds
  hosts @3 :List(HostHints);   # a host stands once
}

struct HostHints {
  host @0 :Text;               # bare host name
  oldestEventMs @1 :UInt64;    # its oldest hint's event time, Unix milliseconds, to the second
  urls @2 :List(Text);         # canonical URLs of that host, each once
}

# Topic `undeliverable`, key: <partner>/<host>. What a partner finally refused.
struct Undeliverable {
  partner @0 :Text;            # name in the registry
  host @1 :Text;               # bare host name
  urls @2 :List(Text);         # canonical URLs
  reason @3 :Text;             # one of a closed set, see the dispatcher
  status @4 :UInt16;           # HTTP status, 0 where there was no answer
  detail @5 :Text;             # the partner's words, at most 1 KiB
  generation @6 :UInt64;       # the newest generation they came from
  batchId @7 :Data;            # the newest batch they came in
  atMs @8 :UInt64;             # when it was given up, Unix milliseconds
  merged @9 :UInt32;           # further hints of these URLs, of batches that waited as well, that ended with them
}

# Topic `receipts`, key: the host. One accepted request.
struct Receipt {
  partner @0 :Text;            # name in the registry
  host @1 :Text;               # bare host name
  count @2 :UInt32;            # URLs in the request
  status @3 :UInt16;           # HTTP status, 2xx
  generation @4 :UInt64;       # the newest generation they came from
  batchId @5 :Data;            # the newest batch they came in
  atMs @6 :UInt64;             # when it was answered, Unix milliseconds
  merged @7 :UInt32;           # further hints of these URLs, of batches that waited as well, that ended with them
}
