//! Properties of the key codec.

use proptest::prelude::*;

use super::*;
use crate::slot::{slot_of_host, slot_of_name};

fn encoded(g: u64, https: bool, host: &str, path_and_query: &str, spread: u16) -> Vec<u8> {
    let mut out = Vec::new();
    encode_name(
        &mut out,
        g,
        CanonicalParts {
            https,
            host,
            path_and_query,
        },
        spread,
    );
    out
}

#[test]
fn names_read_as_documented() {
    assert_eq!(encoded(0, true, "a.example", "/", 0), b"0:{a.example}s/");
    assert_eq!(
        encoded(1_295, false, "a.example", "/p?q=1", 1),
        b"zz:{a.example}p/p?q=1"
    );
    assert_eq!(encoded(u64::MAX, true, "h", "/", 0), b"3w5e11264sgsf:{h}s/");
    let spread = encoded(36, true, "a.example", "/x", 4);
    assert!(
        spread.starts_with(b"10:{a.example#") && spread.ends_with(b"}s/x"),
        "{spread:?}"
    );
}

#[test]
fn names_of_others_are_not_parsed() {
    for name in [
        "",
        ":",
        "0",
        "0:",
        "0:{",
        "0:{}s/",
        "0:{h}",
        "0:{h}x/",
        "0:{h}s",
        "0:{h}sx",
        "00:{h}s/",
        "Z:{h}s/",
        "+1:{h}s/",
        ":{h}s/",
        "0:{h#}s/",
        "0:{h#01}s/",
        "0:{h#64}s/",
        "0:{#1}s/",
        "0:{h#1#2}s/",
        "0:{{h}s/",
        "0:{h}s/{x}",
        "3w5e11264sgsg:{h}s/",
        "0{h}s/",
        "é:{h}s/",
    ] {
        assert_eq!(Name::parse(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn a_spread_host_meets_every_shard() {
    let shards: std::collections::BTreeSet<_> = (0..2_000)
        .map(|n| encoded(7, true, "big.example", &format!("/index.php?topic={n}"), 16))
        .map(|name| Name::parse(&name).and_then(|name| name.shard))
        .collect();
    assert_eq!(shards, (0..16).map(Some).collect());
}

proptest! {
    #[test]
    fn a_name_round_trips(
        g: u64, https: bool, host in "[a-z0-9.-]{1,63}", path in "/[!-z|~]{0,80}", spread in 0..=70u16,
    ) {
        let name = encoded(g, https, &host, &path, spread);
        let read = Name::parse(&name).expect("own name");
        prop_assert_eq!((read.generation, read.host, read.https, read.path_and_query), (g, &*host, https, &*path));
        prop_assert_eq!(read.shard.is_some(), spread > 1);
        prop_assert!(read.shard.is_none_or(|shard| shard < spread.min(MAX_SPREAD)));
        let scheme = if https { "https" } else { "http" };
        prop_assert_eq!(read.url(), format!("{scheme}://{host}{path}"));
    }

    #[test]
    fn a_host_without_spread_has_one_slot(g: u64, host in "[a-z0-9.-]{1,63}", path in "/[!-z|~]{0,80}") {
        prop_assert_eq!(slot_of_name(&encoded(g, true, &host, &path, 0)), slot_of_host(&host));
    }

    #[test]
    fn what_is_parsed_encodes_to_the_same_bytes(name in "[0-9a-z]{0,3}:?\\{?[a-z#0-9]{0,4}\\}?[spx]?/?[a-z{}]{0,4}") {
        if let Some(read) = Name::parse(name.as_bytes()) {
            let mut again = Vec::new();
            read.encode(&mut again);
            prop_assert_eq!(again, name.as_bytes());
        }
    }

    #[test]
    fn names_of_any_bytes_never_panic(name in prop::collection::vec(any::<u8>(), 0..200)) {
        let _unused = Name::parse(&name).map(|read| read.url());
        let _ = name_hash(&name);
    }
}
