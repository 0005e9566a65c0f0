//! The files that a function is deployed with.

use std::fs;
use std::path::{Path, PathBuf};

use super::processes::unique;

/// A folder of its own, as a function's code directory; it goes when it is dropped.
pub struct Bundle {
    folder: PathBuf,
}

impl Bundle {
    pub fn of(files: &[(&str, &str)]) -> Bundle {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bundle-{}", unique()));
        let bundle = Bundle { folder };
        fs::create_dir_all(&bundle.folder).unwrap();
        for (path, text) in files {
            bundle.write(path, text.as_bytes());
        }
        bundle
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.folder.join(path)).unwrap();
    }

    pub fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.folder);
    }
}
