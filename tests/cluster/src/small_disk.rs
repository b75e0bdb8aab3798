//! A disk that is soon full.
//!
//! Comes in: how many bytes it holds. Goes out: a folder on a file system of its own, which can be
//! filled to its last byte and freed again. It must never be left behind: a shell takes it down when
//! this program is gone, however it ended. Only root may have one; else the drill fails, and says so.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits for the end of the pipe, then takes the file system down.
const SWEEP: &str = r#"trap '' INT TERM HUP; cat >/dev/null; umount -l "$1"; rmdir "$1""#;

/// What is written at once when it is filled; then less and less.
const CHUNK: usize = 64 << 10;

/// A file system in memory, of a fixed size.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    sweeper: Child,
}

impl SmallDisk {
    /// A disk of `bytes`, which everybody may write to.
    ///
    /// # Panics
    /// When it cannot be mounted, which takes root.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("assay-disk-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let size = format!("size={bytes},mode=0777");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&folder)
            .output()
            .expect("every system can mount");
        assert!(
            mount.status.success(),
            "a drill of a full disk needs a file system of its own, and mounting one (as root, or \
             with CAP_SYS_ADMIN) is refused: {}",
            String::from_utf8_lossy(&mount.stderr)
        );
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
        let sweeper = Command::new("sh")
            .args(["-c", SWEEP, "sweeper"])
            .arg(&folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .spawn()
            .expect("every system has a shell");
        Self { folder, sweeper }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fills it to the last byte, over again if something was freed in between.
    ///
    /// # Panics
    /// When it refuses for another reason than being full.
    pub fn fill(&self) {
        let path = self.folder.join("filler");
        let filler = File::options().create(true).append(true).open(path);
        let mut filler = filler.expect("a full disk has room for a name");
        let mut size = CHUNK;
        while size > 0 {
            match filler.write(&vec![0; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => size /= 2,
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    /// Frees what was filled.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        fs::remove_file(self.folder.join("filler")).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        // What it does is all that is left to do.
        let _ = self.sweeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_it_is_freed_and_is_gone_in_the_end() {
        let disk = SmallDisk::of(1 << 20);
        let file = disk.folder().join("file");
        disk.fill();
        let refused = fs::write(&file, [1; 8192]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
        disk.free();
        fs::write(&file, [1; 8192]).unwrap();
        let folder = disk.folder().to_owned();
        drop(disk);
        assert!(!folder.exists(), "{}", folder.display());
    }
}
