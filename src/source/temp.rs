//! A temporary file that nobody else can open, and that is gone with its last handle.
//!
//! It has no name by the time anything is written to it, so not even a process that is killed
//! leaves it behind. It is read by position, so many readers share one handle.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Enough that a zip's directory, read field by field, takes few calls.
const WINDOW: usize = 32 << 10;

/// Makes one, open for reading and writing.
pub fn file(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("execute-sql-{:016x}", fastrand::u64(..)));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The size of a buffer for so many bytes.
pub fn buffer_for(length: u64) -> usize {
    usize::try_from(length).map_or(WINDOW, |length| length.clamp(512, WINDOW))
}

/// A reader with a position of its own.
pub struct Reader {
    file: Arc<File>,
    at: u64,
    window: Vec<u8>,
    most: usize,
    window_at: u64,
}

impl Reader {
    /// From a position.
    pub fn new(file: Arc<File>, at: u64) -> Self {
        Self { file, at, window: Vec::new(), most: WINDOW, window_at: 0 }
    }

    /// The same for about so many bytes: thousands of small files are read faster without large
    /// buffers.
    pub fn for_about(self, length: u64) -> Self {
        Self { most: buffer_for(length), ..self }
    }

    /// What of the window lies at the position.
    fn seen(&self) -> &[u8] {
        let skipped = self.at.checked_sub(self.window_at).and_then(|it| usize::try_from(it).ok());
        skipped.and_then(|it| self.window.get(it..)).unwrap_or_default()
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.len() >= self.most {
            let read = self.file.read_at(buffer, self.at)?;
            self.at += read as u64;
            return Ok(read);
        }
        if self.seen().is_empty() {
            self.window.resize(self.most, 0);
            // A failed read leaves an empty window, never an old one.
            let read = self.file.read_at(&mut self.window, self.at);
            self.window.truncate(*read.as_ref().unwrap_or(&0));
            self.window_at = self.at;
            read?;
        }
        let read = self.seen().read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_reader_reads_what_a_cursor_over_the_same_bytes_reads() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|it| (it % 251) as u8).collect();
        let mut file = file(&std::env::temp_dir()).unwrap();
        file.write_all(&bytes).unwrap();
        let mut ours = Reader::new(Arc::new(file), 0);
        let mut theirs = io::Cursor::new(bytes);
        for (to, length) in [
            (SeekFrom::Start(0), 10),
            (SeekFrom::Current(5), 40_000),
            (SeekFrom::End(-50), 30),
            (SeekFrom::Start(99_990), 100),
            (SeekFrom::Start(200_000), 1),
            (SeekFrom::Start(12), 31),
        ] {
            assert_eq!(ours.seek(to).unwrap(), theirs.seek(to).unwrap());
            let mut read = [Vec::new(), Vec::new()];
            (&mut ours).take(length).read_to_end(&mut read[0]).unwrap();
            (&mut theirs).take(length).read_to_end(&mut read[1]).unwrap();
            assert_eq!(read[0], read[1], "{to:?}");
        }
        assert!(ours.seek(SeekFrom::End(-200_000)).is_err());
    }

    #[test]
    fn a_temporary_file_has_no_name() {
        let folder = std::env::temp_dir().join(format!("named-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let file = file(&folder).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
        drop(file);
    }
}
