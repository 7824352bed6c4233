@0xcfa6cb1eb6f13a21;
# Topic `zones`, compacted, key: the zone id in decimal. No value: the zone is removed.

struct Zone {
  id @0 :UInt64;               # the customer's zone
  enabled @1 :Bool;            # opted in
  hosts @2 :List(ZoneHost);    # every host the zone may hint
}

struct ZoneHost {
  name @0 :Text;               # host name, punycode, lower case
  key @1 :Text;                # its IndexNow key, 8 to 128 of A-Z a-z 0-9 -; empty: derived from the master key
  keyLocation @2 :Text;        # URL of its key file; empty: https://<name>/<key>.txt
  spread @3 :UInt16;           # over how many shards its keys spread: 1, 2, 4 … 64; 0 counts as 1
}
