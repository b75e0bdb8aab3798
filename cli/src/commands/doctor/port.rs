//! Who listens on a loopback port, as far as the system tells.
//!
//! Comes in: a port. Goes out: whether it is free, and the process that has it where `/proc` names
//! one. It binds for a moment, and connects to nobody.

use std::net::{Ipv4Addr, TcpListener};

/// What is known of a port.
#[derive(Debug, PartialEq, Eq)]
pub enum Port {
    /// Nobody has it.
    Free,
    /// Somebody has it: a process and its name, where they can be told.
    Taken(Option<(u32, String)>),
    /// It cannot be had, for another reason.
    Refused(String),
}

/// Looks at `port` of loopback.
pub fn look_at(port: u16) -> Port {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Port::Free,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Port::Taken(owner(port)),
        Err(error) => Port::Refused(error.to_string()),
    }
}

/// The process that listens on `port`; `None` where the system does not tell.
fn owner(port: u16) -> Option<(u32, String)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|text| listener(&text, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let has = open.flatten().any(|file| {
            std::fs::read_link(file.path()).is_ok_and(|target| *target.as_os_str() == *wanted)
        });
        if has {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// The inode of the listening socket of `port` in a table of the kernel.
fn listener(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let (_, hex) = local.rsplit_once(':')?;
        // 0A is the kernel's number for a listening socket.
        if state != "0A" || u16::from_str_radix(hex, 16) != Ok(port) {
            return None;
        }
        fields.nth(5)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_process() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        match look_at(port) {
            Port::Taken(Some((pid, _))) => assert_eq!(pid, std::process::id()),
            Port::Taken(None) => assert!(!std::path::Path::new("/proc/net/tcp").exists()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_listening_socket_is_found_in_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n   1: 0100007F:1F92 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n";
        assert_eq!(listener(table, 8081), Some(4711));
        assert_eq!(listener(table, 8082), None);
        assert_eq!(listener("nonsense", 8081), None);
    }
}
