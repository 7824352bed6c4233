@0xf0c601c133a5211f;
# Topic `cache-misses`, key: the host. One record for each cache miss of an opted-in site.

enum CacheStatus {
  miss @0;         # the edge had nothing
  expired @1;      # what it had was too old
  revalidated @2;  # the origin said that nothing changed
  stale @3;        # an old answer was served
  bypass @4;       # not cacheable
  purged @5;       # removed on the customer's word, then fetched
}

struct CacheMiss {
  schemaVersion @0 :UInt16;    # 1
  timestampMs @1 :UInt64;      # when the edge fetched it, Unix milliseconds
  url @2 :Text;                # absolute, at most 2,048 bytes
  zoneId @3 :UInt64;           # the customer's zone; its hosts must hold the URL's host
  cacheStatus @4 :CacheStatus; # why it was a miss
  originStatus @5 :UInt16;     # the origin's HTTP status, 0 where unknown
  contentType @6 :Text;        # the answer's media type, as the origin sent it
  contentHash @7 :Data;        # a hash of the body, any kind, for suppressing unchanged pages
  etag @8 :Text;               # the answer's entity tag, as the origin sent it
  lastModifiedMs @9 :UInt64;   # the answer's Last-Modified, Unix milliseconds, 0 where unknown
  noindex @10 :Bool;           # the page asks not to be indexed
  dataCenter @11 :Text;        # where it was fetched, the data centre's code
}
