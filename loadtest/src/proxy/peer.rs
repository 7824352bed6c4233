//! Which process a connection is of: the kernel's own tables say, so no address has to be made up for it.

use std::collections::HashSet;

/// The ports from which the process `id` has connections on loopback. A process that has ended has none.
///
/// Reads the table of the whole machine, which takes a while on a busy one: not for each connection that stands.
pub(super) fn ports_of(id: u32) -> HashSet<u16> {
    let sockets = sockets_of(id);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let rows = table.lines().filter_map(row);
    rows.filter(|(_, inode)| sockets.contains(*inode))
        .map(|(port, _)| port)
        .collect()
}

/// Local port and inode of a row of `/proc/net/tcp` (proc(5)).
fn row(line: &str) -> Option<(u16, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let (_address, port) = fields.nth(1)?.split_once(':')?;
    Some((u16::from_str_radix(port, 16).ok()?, fields.nth(7)?))
}

/// The inodes of a process's sockets.
fn sockets_of(id: u32) -> HashSet<String> {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{id}/fd")) else {
        return HashSet::new();
    };
    let inode = |entry: std::io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    };
    descriptors.filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_of_the_process_that_opened_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = stream.local_addr().unwrap().port();
        assert!(ports_of(std::process::id()).contains(&port));
        assert!(!ports_of(1).contains(&port));
        drop(stream);
        assert!(!ports_of(std::process::id()).contains(&port));
    }
}
