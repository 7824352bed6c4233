//! One slot map out of several nodes' views, while word of a change is still going round.

use super::{Topology, View};
use crate::slot::SLOTS;

/// The map that follows from `views`, or `None` without any.
///
/// The view with the newest epoch is the base. A node knows best what it no longer owns, so where a base owner
/// answered and names another, that one is taken; and what a node says of its own slots wins over an owner with
/// an older epoch.
pub(crate) fn merge(views: &[View]) -> Option<Topology> {
    let base = views.iter().reduce(|best, view| {
        if view.newest_epoch() > best.newest_epoch() {
            view
        } else {
            best
        }
    })?;
    let mut merged = base.map.clone();
    for slot in 0..SLOTS {
        disown(&mut merged, views, slot);
    }
    for view in views {
        claim(&mut merged, view);
    }
    Some(merged)
}

fn disown(merged: &mut Topology, views: &[View], slot: u16) {
    let Some(owner) = merged.owner(slot) else { return };
    let Some(own_view) = views.iter().find(|view| view.myself == owner.id) else {
        return;
    };
    if let Some(named) = own_view.map.owner(slot)
        && named.id != owner.id
        && let Some(index) = index_of(merged, &named.id)
    {
        set_owner(merged, slot, index);
    }
}

fn claim(merged: &mut Topology, view: &View) {
    let Some(index) = index_of(merged, &view.myself) else {
        return;
    };
    let Some(epoch) = view
        .map
        .nodes()
        .iter()
        .find(|node| node.id == view.myself)
        .map(|node| node.config_epoch)
    else {
        return;
    };
    for slot in view.map.slots_of(&view.myself) {
        let newer = merged.owner(slot).is_none_or(|owner| epoch > owner.config_epoch);
        if newer {
            set_owner(merged, slot, index);
        }
    }
}

fn index_of(map: &Topology, id: &str) -> Option<u16> {
    map.nodes
        .iter()
        .position(|node| node.id == id)
        .and_then(|index| u16::try_from(index).ok())
}

fn set_owner(map: &mut Topology, slot: u16, index: u16) {
    if let Some(owner) = map.owners.get_mut(usize::from(slot)) {
        *owner = Some(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes `a` (epoch, slots) and `b`, as seen by `myself`.
    fn view(myself: &str, a: (u64, &str), b: (u64, &str)) -> View {
        let line = |id: &str, (epoch, slots): (u64, &str)| {
            let flags = if id == myself { "myself,master" } else { "master" };
            format!("{id} h{id}:1@2 {flags} - 0 0 {epoch} connected {slots}\n")
        };
        View::parse(&[line("a", a), line("b", b), line("c", (0, ""))].concat(), "h").unwrap()
    }

    fn owner(views: &[View], slot: u16) -> String {
        merge(views).unwrap().owner(slot).unwrap().id.clone()
    }

    #[test]
    fn the_newest_epoch_is_believed() {
        let stale = view("a", (1, "0-16383"), (2, ""));
        let fresh = view("b", (1, "0-99"), (3, "100-16383"));
        assert_eq!(owner(&[stale.clone(), fresh.clone()], 100), "b");
        assert_eq!(owner(&[fresh, stale], 100), "b");
    }

    #[test]
    fn a_node_knows_best_what_it_gave_away() {
        let third = view("c", (3, "0-16383"), (2, ""));
        let giver = view("a", (3, "0-99"), (2, "100-16383"));
        assert_eq!(owner(&[third, giver], 100), "b");
    }

    #[test]
    fn without_a_view_there_is_no_map() {
        assert_eq!(merge(&[]), None);
    }
}
