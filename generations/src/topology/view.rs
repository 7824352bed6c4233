//! What one node says of its cluster: the text of `CLUSTER NODES`.

use std::ops::RangeInclusive;

use super::{ClusterNode, Topology};
use crate::address::Address;
use crate::slot::SLOTS;

/// One node's view of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The node that spoke.
    pub(crate) myself: String,
    /// Its slot map.
    pub(crate) map: Topology,
    /// Slots it is handing over or receiving; a node tells only its own.
    pub(crate) moving: Vec<u16>,
}

impl View {
    /// Reads an answer. `asked` is the host that was asked, for nodes that do not know their own address.
    /// `None` where it is not the answer of a cluster node.
    pub(crate) fn parse(text: &str, asked: &str) -> Option<Self> {
        let mut view = Self {
            myself: String::new(),
            map: Topology::unknown(),
            moving: Vec::new(),
        };
        for line in text.lines() {
            view.read_line(line, asked)?;
        }
        (!view.myself.is_empty()).then_some(view)
    }

    fn read_line(&mut self, line: &str, asked: &str) -> Option<()> {
        let mut fields = line.split_ascii_whitespace();
        let (id, address, flags) = (fields.next()?, fields.next()?, fields.next()?);
        // Its master, the last ping and pong.
        let config_epoch = fields.nth(3)?.parse().ok()?;
        let _link_state = fields.next()?;

        let has = |flag| flags.split(',').any(|set| set == flag);
        if has("myself") {
            id.clone_into(&mut self.myself);
        }
        if has("noaddr") || has("handshake") {
            return Some(());
        }
        let node = u16::try_from(self.map.nodes.len()).ok()?;
        for field in fields {
            match field.strip_prefix('[') {
                Some(moving) => self.moving.push(moving.split('-').next()?.parse().ok()?),
                None => {
                    for slot in range(field)? {
                        *self.map.owners.get_mut(usize::from(slot))? = Some(node);
                    }
                }
            }
        }
        self.map.nodes.push(ClusterNode {
            id: id.to_owned(),
            address: read_address(address, asked)?,
            is_master: has("master"),
            failed: has("fail"),
            config_epoch,
        });
        Some(())
    }

    /// The newest epoch it has heard of.
    pub(super) fn newest_epoch(&self) -> u64 {
        self.map
            .nodes
            .iter()
            .map(|node| node.config_epoch)
            .max()
            .unwrap_or(0)
    }
}

/// `ip:port@bus`, and since 7.0 `,hostname` and more behind it.
fn read_address(text: &str, asked: &str) -> Option<Address> {
    let (at, names) = text.split_once(',').unwrap_or((text, ""));
    let at = at.split_once('@').map_or(at, |(at, _bus)| at);
    let mut address = Address::parse(at, asked)?;
    let name = names.split(',').next().unwrap_or_default();
    if !name.is_empty() && !name.contains('=') && name != "?" {
        name.clone_into(&mut address.host);
    }
    Some(address)
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (last < SLOTS).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\
aaa 127.0.0.1:30001@31001,redis-0.svc myself,master - 0 1426238316232 2 connected 0-5460 9000 [93->-bbb] [77-<-bbb]
bbb 127.0.0.1:30002@31002,,shard-id=1 master - 0 1426238318243 7 connected 5461-8999 9001-16383
ccc 127.0.0.1:30003@31003 slave aaa 0 1426238318243 2 connected
ddd 127.0.0.1:30004@31004 master,fail - 0 1426238318243 1 disconnected
eee :0@0 master,noaddr - 0 1426238318243 1 disconnected
";

    #[test]
    fn a_view_tells_nodes_slots_and_moves() {
        let view = View::parse(TEXT, "asked").unwrap();
        assert_eq!(
            (view.myself.as_str(), view.moving.as_slice()),
            ("aaa", [93, 77].as_slice())
        );
        let addresses: Vec<_> = view
            .map
            .nodes()
            .iter()
            .map(|node| node.address.to_string())
            .collect();
        assert_eq!(
            addresses,
            [
                "redis-0.svc:30001",
                "127.0.0.1:30002",
                "127.0.0.1:30003",
                "127.0.0.1:30004"
            ]
        );
        let owner = |slot| view.map.owner(slot).map(|node| node.id.as_str());
        assert_eq!(
            [owner(0), owner(9_000), owner(9_001), owner(16_383)].map(Option::unwrap),
            ["aaa", "aaa", "bbb", "bbb"]
        );
        assert!(view.map.is_covered());
        assert_eq!(view.newest_epoch(), 7);
        let masters: Vec<_> = view.map.masters().map(|node| node.id.as_str()).collect();
        assert_eq!(
            masters,
            ["aaa", "bbb"],
            "a master that is down and owns nothing need not be asked"
        );
        assert_eq!(view.map.slots_of("aaa").count(), 5_462);
    }

    #[test]
    fn a_node_alone_listens_where_it_was_asked() {
        let view = View::parse(
            "a :7000@17000 myself,master - 0 0 1 connected 0-16383\n",
            "10.0.0.9",
        )
        .unwrap();
        assert_eq!(view.map.nodes()[0].address.to_string(), "10.0.0.9:7000");
    }

    #[test]
    fn what_is_not_a_view_is_refused() {
        for text in [
            "",
            "ERR",
            "a b c d e f g",
            "a h:1@2 master - 0 0 1 connected 0-16384",
            "a h:1@2 myself - 0 0 x up",
        ] {
            assert_eq!(View::parse(text, "h"), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn views_of_any_text_never_panic(text in "([a-z0-9:@,\\[\\]<> -]{0,60}\n){0,4}") {
            let _unused = View::parse(&text, "h");
        }
    }
}
