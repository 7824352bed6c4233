//! Which process a connection is of: the kernel's own tables say, so no address has to be made up for it.

use std::collections::HashSet;

/// Whether the loopback connection from this port is one of the process `id`'s. A process that has ended has none.
pub(super) fn is_of_process(port: u16, id: u32) -> bool {
    let sockets = sockets_of(id);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table
        .lines()
        .filter_map(row)
        .any(|(local, inode)| local == port && sockets.contains(inode))
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
        assert!(is_of_process(port, std::process::id()));
        assert!(!is_of_process(port, 1));
        drop(stream);
        assert!(!is_of_process(port, std::process::id()));
    }
}
