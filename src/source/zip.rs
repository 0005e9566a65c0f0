//! The files of a zip, read where they lie; nothing is unpacked to the disk.
//!
//! A zip comes from outside, so its directory is checked before any file is used:
//! names that lead elsewhere, links, entries that come twice, methods that are not
//! known, and sizes beyond reason are refused by name. Its sizes are a claim, which
//! the reading of each entry holds it to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use flate2::read::DeflateDecoder;
use zip::read::ZipFileEntry;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::temp::{Reader, buffer_for};
use crate::changelog::files::{FileError, Files, folder};
use crate::request::value::closest;

const MOST_ENTRIES: usize = 100_000;
const LONGEST_NAME: usize = 1024;
/// Of all files together, expanded.
const MOST_BYTES: u64 = 1 << 30;
/// Below this no ratio is looked at: repetitive seed data packs well.
const FREE_BYTES: u64 = 64 << 20;
/// SQL and CSV rarely pack better than 1:50; what is made to burst packs at 1:1000.
const MOST_RATIO: u64 = 200;
const LOCAL_HEADER: usize = 30;

/// A zip, by its directory.
pub struct Zip {
    file: Arc<File>,
    entries: BTreeMap<String, Entry>,
    folders: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    header_at: u64,
    packed: u64,
    size: u64,
    crc32: u32,
    deflated: bool,
}

/// Reads the directory; an error is the rest of a sentence about the zip.
pub fn open(file: Arc<File>) -> Result<Zip, String> {
    let damaged = |error: ZipError| match error {
        ZipError::InvalidArchive(why) => format!("is damaged or cut off: {why}"),
        error => format!("cannot be read: {error}"),
    };
    let length = file.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    let reader = Reader::new(file.clone(), 0);
    let directory = ZipArchive::new(reader).map_err(damaged)?;
    if directory.len() > MOST_ENTRIES {
        return Err(format!("holds more than {MOST_ENTRIES} entries"));
    }
    if directory.has_duplicate_names() {
        return Err("holds two entries of the same name".to_owned());
    }
    let mut zip = Zip { file, entries: BTreeMap::new(), folders: BTreeSet::new() };
    let mut packed = 0_u64;
    let mut size = 0_u64;
    for at in 0..directory.len() {
        let entry = directory.by_index_data(at).map_err(damaged)?;
        zip.add(&entry).map_err(|(name, why)| format!("holds `{name}`, {why}"))?;
        packed = packed.saturating_add(entry.compressed_size());
        size = size.saturating_add(entry.size());
    }
    if size > MOST_BYTES {
        return Err(format!("expands to {} MiB; the limit is {}", size >> 20, MOST_BYTES >> 20));
    }
    if size > FREE_BYTES && size / MOST_RATIO > packed {
        return Err(format!("expands to {MOST_RATIO} times its size and more"));
    }
    // Entries that share their bytes would get around the ratio.
    if packed > length {
        return Err("holds entries that overlap".to_owned());
    }
    Ok(zip)
}

impl Zip {
    /// Whether there is a file or folder of this path.
    pub fn has(&self, path: &str) -> bool {
        path.is_empty() || self.entries.contains_key(path) || self.folders.contains(path)
    }

    /// The file or folder that `path` was most likely meant to be.
    pub fn nearly(&self, path: &str) -> Option<&str> {
        closest(path, self.entries.keys().chain(&self.folders).map(String::as_str))
    }

    fn add(&mut self, entry: &ZipFileEntry<'_>) -> Result<(), (String, String)> {
        let given = entry.name().map(String::from).unwrap_or_default();
        let refused = |why: &str| {
            let shown: String = given.chars().take(100).collect();
            (shown.escape_debug().to_string(), why.to_owned())
        };
        let name = usable(&given).map_err(refused)?;
        // The Finder's notes beside each file, which would be taken for SQL by their endings.
        if name.is_empty() || name == "__MACOSX" || name.starts_with("__MACOSX/") {
            return Ok(());
        }
        // The upper half of the attributes is the mode where the zip was made on Unix.
        match entry.unix_mode().unwrap_or_default() & 0o170_000 {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => return Err(refused("which is a symbolic link")),
            _ => return Err(refused("which is no regular file")),
        }
        let is_folder = given.ends_with(['/', '\\']);
        self.take_place(&name, is_folder).map_err(refused)?;
        if is_folder {
            return Ok(());
        }
        if entry.encrypted() {
            return Err(refused("which is encrypted"));
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => return Err(refused(&format!("which is packed by {}", method(other)))),
        };
        let entry = Entry {
            header_at: entry.header_start(),
            packed: entry.compressed_size(),
            size: entry.size(),
            crc32: entry.crc32(),
            deflated,
        };
        self.entries.insert(name, entry);
        Ok(())
    }

    /// A name is that of one file, or of a folder.
    fn take_place(&mut self, name: &str, is_folder: bool) -> Result<(), &'static str> {
        const TWICE: &str = "which is there twice";
        if self.entries.contains_key(name) || (!is_folder && self.folders.contains(name)) {
            return Err(TWICE);
        }
        let mut above = if is_folder { name } else { folder(name) };
        while !above.is_empty() {
            if self.entries.contains_key(above) {
                return Err("whose folder is a file");
            }
            if !self.folders.insert(above.to_owned()) {
                break;
            }
            above = folder(above);
        }
        Ok(())
    }
}

/// The name without `./`, with `/` between its parts.
fn usable(given: &str) -> Result<String, &'static str> {
    let slashed = given.replace('\\', "/");
    let parts: Vec<&str> =
        slashed.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if given.chars().any(char::is_control) {
        Err("whose name holds a control character")
    } else if given.len() > LONGEST_NAME {
        Err("whose name is too long")
    } else if slashed.starts_with('/') || slashed.as_bytes().get(1) == Some(&b':') {
        Err("whose path is absolute")
    } else if parts.contains(&"..") {
        Err("whose path climbs out")
    } else {
        let name = parts.join("/");
        // A drive's letter, or `classpath:`, would be taken off a name that a changelog asks for.
        match crate::changelog::files::normal(&name) {
            Ok(normal) if normal == name => Ok(name),
            _ => Err("whose name begins like a drive or a class path"),
        }
    }
}

fn method(method: CompressionMethod) -> String {
    let known = [
        (CompressionMethod::DEFLATE64, "Deflate64"),
        (CompressionMethod::BZIP2, "bzip2"),
        (CompressionMethod::LZMA, "LZMA"),
        (CompressionMethod::ZSTD, "Zstandard"),
        (CompressionMethod::XZ, "xz"),
    ];
    let name = known.iter().find(|(it, _)| *it == method).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("a method that is not known ({method:?})"))
}

impl Files for Zip {
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError> {
        let entry = self.entries.get(path).ok_or_else(|| FileError::Missing(path.to_owned()))?;
        let packed = entry
            .content(&self.file)
            .map_err(|error| FileError::Unreadable(path.to_owned(), error.to_string()))?;
        let content: Box<dyn Read + Send> = if entry.deflated {
            {
                let buffer = vec![0; buffer_for(entry.packed)];
                Box::new(DeflateDecoder::new_with_buf(packed, buffer))
            }
        } else {
            Box::new(packed)
        };
        let crc32 = crc32fast::Hasher::new();
        Ok(Box::new(Checked { content, left: entry.size, crc32, wanted: entry.crc32 }))
    }

    fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError> {
        if folder.is_empty() {
            return Ok(Some(self.entries.keys().cloned().collect()));
        }
        if !self.folders.contains(folder) {
            return Ok(None);
        }
        let inside = format!("{folder}/");
        let from = self.entries.range(inside.clone()..).map(|(path, _)| path);
        Ok(Some(from.take_while(|path| path.starts_with(&inside)).cloned().collect()))
    }
}

impl Entry {
    /// The packed bytes: they follow a second header, whose length only it knows.
    fn content(&self, file: &Arc<File>) -> io::Result<io::Take<Reader>> {
        let mut reader = Reader::new(file.clone(), self.header_at)
            .for_about(self.packed.saturating_add(LONGEST_NAME as u64));
        let mut header = [0; LOCAL_HEADER];
        reader.read_exact(&mut header)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged("its header is not where the zip says"));
        }
        let name = u16::from_le_bytes([header[26], header[27]]);
        let extra = u16::from_le_bytes([header[28], header[29]]);
        let skipped = LOCAL_HEADER + usize::from(name) + usize::from(extra);
        let at = self.header_at.checked_add(skipped as u64);
        reader.seek(SeekFrom::Start(at.ok_or_else(|| damaged("it lies beyond the end"))?))?;
        Ok(reader.take(self.packed))
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the zip is damaged: {why}"))
}

/// Holds a file to the size and the checksum that the directory gives.
struct Checked<R> {
    content: R,
    left: u64,
    crc32: crc32fast::Hasher,
    wanted: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                damaged("its content cannot be expanded")
            }
            _ => error,
        })?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| damaged("it is longer than the zip says"))?;
        self.crc32.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() {
            if self.left > 0 {
                return Err(damaged("it is shorter than the zip says"));
            }
            if self.crc32.clone().finalize() != self.wanted {
                return Err(damaged("its checksum is wrong"));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::temp;
    use proptest::prelude::*;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn options() -> SimpleFileOptions {
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
    }

    /// A zip of these files; a name that ends with `/` is a folder.
    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in files {
            if let Some(folder) = name.strip_suffix('/') {
                writer.add_directory(folder, options()).unwrap();
            } else {
                writer.start_file(*name, options()).unwrap();
                writer.write_all(content).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    fn opened(bytes: &[u8]) -> Result<Zip, String> {
        let mut file = temp::file(&std::env::temp_dir()).unwrap();
        file.write_all(bytes).unwrap();
        open(Arc::new(file))
    }

    /// The same with one name put for another of the same length, wherever it stands.
    fn renamed(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        for at in 0..=bytes.len() - from.len() {
            if bytes[at..].starts_with(from) {
                bytes[at..at + to.len()].copy_from_slice(to);
            }
        }
        bytes
    }

    /// The position of a field in the directory's first header.
    fn field(bytes: &[u8], offset: usize) -> usize {
        bytes.windows(4).position(|it| it == b"PK\x01\x02").unwrap() + offset
    }

    fn refused(bytes: &[u8]) -> String {
        opened(bytes).err().expect("it is refused")
    }

    fn text(zip: &Zip, path: &str) -> io::Result<String> {
        let mut text = String::new();
        zip.open(path).unwrap().read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn files_keep_their_paths() {
        let long = "INSERT INTO t VALUES (1);\n".repeat(10_000);
        let zip = opened(&zipped(&[
            ("top/", b""),
            ("top/db/b.sql", long.as_bytes()),
            ("top/db/a.sql", b"a"),
            ("top/dbx.sql", b""),
            ("./top\\win\\ö.sql", b"w"),
            ("__MACOSX/top/db/._a.sql", b"junk"),
        ]))
        .unwrap();
        assert_eq!(text(&zip, "top/db/b.sql").unwrap(), long);
        assert_eq!(text(&zip, "top/db/a.sql").unwrap(), "a");
        assert_eq!(text(&zip, "top/dbx.sql").unwrap(), "");
        assert_eq!(text(&zip, "top/win/ö.sql").unwrap(), "w");
        let list = |folder: &str| zip.list(folder).unwrap();
        assert_eq!(list("top/db").unwrap(), ["top/db/a.sql", "top/db/b.sql"]);
        assert_eq!(list("").unwrap().len(), 4);
        assert_eq!(list("top").unwrap().len(), 4);
        assert_eq!((list("top/d"), list("db")), (None, None));
        assert!(matches!(zip.open("top/db").err(), Some(FileError::Missing(_))));
        assert!(zip.has("top/db") && zip.has("top/dbx.sql") && !zip.has("db"));
        assert_eq!(zip.nearly("top/db/A.sql"), Some("top/db/a.sql"));
        assert!(opened(&zipped(&[])).unwrap().list("").unwrap().unwrap().is_empty());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let good = || zipped(&[("some-file.sql", b"x")]);
        for (name, why) in [
            ("/ome-file.sql", "whose path is absolute"),
            ("\\ome-file.sql", "whose path is absolute"),
            ("C:me-file.sql", "whose path is absolute"),
            ("a/../../x.sql", "whose path climbs out"),
            ("..\\e-file.sql", "whose path climbs out"),
            ("some-file\0sql", "whose name holds a control character"),
        ] {
            let error = refused(&renamed(good(), b"some-file.sql", name.as_bytes()));
            assert_eq!(error, format!("holds `{}`, {why}", name.escape_debug()));
        }
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        writer.add_symlink("link.sql", "/etc/passwd", options()).unwrap();
        let linked = writer.finish().unwrap().into_inner();
        insta::assert_snapshot!(refused(&linked), @"holds `link.sql`, which is a symbolic link");
    }

    #[test]
    fn one_name_stands_for_one_thing() {
        let two = |a: &str, b: &str| zipped(&[(a, b"x"), (b, b"y")]);
        let twice = renamed(two("one.sql", "two.sql"), b"two.sql", b"one.sql");
        insta::assert_snapshot!(refused(&twice), @"holds two entries of the same name");
        insta::assert_snapshot!(refused(&two("a/b", "./a/b")), @"holds `./a/b`, which is there twice");
        insta::assert_snapshot!(refused(&two("a", "a/b")), @"holds `a/b`, whose folder is a file");
        insta::assert_snapshot!(refused(&two("a/b", "a")), @"holds `a`, which is there twice");
    }

    #[test]
    fn what_cannot_be_expanded_is_refused_by_name() {
        let good = zipped(&[("a.sql", b"x")]);
        let with = |offset: usize, value: &[u8]| {
            let mut bytes = good.clone();
            let at = field(&bytes, offset);
            bytes[at..at + value.len()].copy_from_slice(value);
            bytes
        };
        insta::assert_snapshot!(refused(&with(10, &[14, 0])), @"holds `a.sql`, which is packed by LZMA");
        insta::assert_snapshot!(refused(&with(10, &[77, 0])), @"holds `a.sql`, which is packed by a method that is not known (Unsupported(77))");
        insta::assert_snapshot!(refused(&with(8, &[1, 0])), @"holds `a.sql`, which is encrypted");
        insta::assert_snapshot!(refused(&with(24, &[0xff, 0xff, 0xff, 0x7f])), @"expands to 2047 MiB; the limit is 1024");
        insta::assert_snapshot!(refused(&with(24, &[0, 0, 0, 0x10])), @"expands to 200 times its size and more");
        insta::assert_snapshot!(refused(&with(20, &[0, 0, 0, 0x10])), @"holds entries that overlap");
        insta::assert_snapshot!(refused(b"PK\x03\x04 and no more"), @"is damaged or cut off: Could not find EOCD");
        assert!(refused(&good[..good.len() - 4]).starts_with("is damaged"));
    }

    #[test]
    fn an_entry_is_held_to_what_the_directory_says() {
        let good = zipped(&[("a.sql", b"select 1")]);
        for (offset, value, why) in [
            (24, 7, "it is longer than the zip says"),
            (24, 9, "it is shorter than the zip says"),
            (16, 0, "its checksum is wrong"),
            (20, 3, "its content cannot be expanded"),
            (42, 1, "its header is not where the zip says"),
        ] {
            let mut bytes = good.clone();
            let at = field(&bytes, offset);
            bytes[at] = value;
            let zip = opened(&bytes).unwrap();
            let error = match zip.open("a.sql") {
                Ok(mut file) => io::copy(&mut file, &mut io::sink()).unwrap_err().to_string(),
                Err(error) => error.what(),
            };
            assert!(error.contains(why), "{offset}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn a_damaged_zip_is_read_or_refused_in_words(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            length in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let text = b"select 1;".repeat(50);
            let mut bytes = zipped(&[("db/a.sql", &text), ("db/", b""), ("b.sql", b"x")]);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(length.index(bytes.len()));
            }
            match opened(&bytes) {
                Err(why) => prop_assert!(!why.is_empty()),
                Ok(zip) => {
                    for path in zip.list("").unwrap().unwrap() {
                        prop_assert!(!path.starts_with('/') && !path.split('/').any(|it| it == ".."));
                        if let Ok(mut file) = zip.open(&path) {
                            drop(io::copy(&mut file, &mut io::sink()));
                        }
                    }
                }
            }
        }

        #[test]
        fn any_name_is_normal_or_refused(name in "(classpath:)?[a./\\\\:\0é]{0,12}") {
            if let Ok(usable) = usable(&name) {
                prop_assert_eq!(crate::changelog::files::normal(&usable), Ok(usable.clone()));
            }
        }
    }
}
