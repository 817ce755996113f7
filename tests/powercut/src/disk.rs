//! What programs see and what is on the device.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;

/// What survives or not at once, in bytes.
const PAGE: usize = 4096;
/// The number of the top folder.
pub(crate) const ROOT: u64 = 1;

/// How the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing survives that was not synced.
    Forget,
    /// Of what was not synced, each page survives or not, by this seed.
    Scatter(u64),
}

/// Why the disk refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskError {
    /// There is no such name or number.
    Missing,
    /// The name is taken.
    Exists,
    /// A folder is no file, or the other way round.
    WrongKind,
    /// The folder has entries.
    NotEmpty,
    /// The power is off.
    Off,
}

/// A file: its bytes as seen, as synced, and which pages differ.
#[derive(Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

/// A folder: its names as seen and as synced.
#[derive(Debug, Default)]
struct Names {
    live: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
}

#[derive(Debug)]
enum Node {
    File(Content),
    Folder(Names),
}

/// A disk in memory.
#[derive(Debug)]
pub struct Disk {
    nodes: HashMap<u64, Node>,
    next: u64,
    off: bool,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            nodes: HashMap::from([(ROOT, Node::Folder(Names::default()))]),
            next: ROOT + 1,
            off: false,
        }
    }
}

impl Content {
    fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / PAGE..to.div_ceil(PAGE));
    }

    fn write(&mut self, at: usize, data: &[u8]) {
        let end = at + data.len();
        if end > self.live.len() {
            self.live.resize(end, 0);
        }
        if let Some(part) = self.live.get_mut(at..end) {
            part.copy_from_slice(data);
        }
        self.touch(at, end);
    }

    fn resize(&mut self, length: usize) {
        let (low, high) = (self.live.len().min(length), self.live.len().max(length));
        self.live.resize(length, 0);
        self.touch(low, high);
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            Self::carry(page, &self.live, &mut self.durable);
        }
    }

    /// Copies one page as far as both have it.
    fn carry(page: usize, from: &[u8], to: &mut [u8]) {
        let start = page * PAGE;
        let end = (start + PAGE).min(from.len()).min(to.len());
        if let (Some(from), Some(to)) = (from.get(start..end), to.get_mut(start..end)) {
            to.copy_from_slice(from);
        }
    }

    /// The bytes after a power cut.
    fn survive(&self, chance: &mut Option<Chance>) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        if let Some(chance) = chance {
            for page in &self.dirty {
                let start = page * PAGE;
                if start < self.live.len() && chance.flip() {
                    let end = (start + PAGE).min(self.live.len());
                    bytes.resize(bytes.len().max(end), 0);
                    Self::carry(*page, &self.live, &mut bytes);
                }
            }
        }
        bytes
    }
}

/// Small and repeatable (xorshift); nothing here depends on its quality.
struct Chance(u64);

impl Chance {
    fn flip(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(2)
    }
}

impl Disk {
    /// A disk that holds what a folder holds, all of it synced.
    ///
    /// # Errors
    ///
    /// Whatever reading the folder gives.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let mut disk = Self::default();
        disk.load_into(folder, ROOT)?;
        Ok(disk)
    }

    fn load_into(&mut self, folder: &Path, number: u64) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_folder = entry.file_type()?.is_dir();
            let made = self
                .make(number, &entry.file_name(), is_folder)
                .map_err(|_| io::ErrorKind::AlreadyExists)?;
            if is_folder {
                self.load_into(&entry.path(), made)?;
            } else if let Some(Node::File(content)) = self.nodes.get_mut(&made) {
                content.live = fs::read(entry.path())?;
                content.durable.clone_from(&content.live);
            }
        }
        self.sync(number).ok();
        Ok(())
    }

    /// Cuts the power and writes what survived into an empty folder; how many pages were unsynced.
    ///
    /// # Errors
    ///
    /// Whatever writing the folder gives.
    pub fn cut(&mut self, how: Cut, folder: &Path) -> io::Result<usize> {
        self.off = true;
        let mut chance = match how {
            Cut::Forget => None,
            Cut::Scatter(seed) => Some(Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)),
        };
        self.save(ROOT, folder, &mut chance)?;
        let dirty = |node: &Node| {
            if let Node::File(content) = node {
                content.dirty.len()
            } else {
                0
            }
        };
        Ok(self.nodes.values().map(dirty).sum())
    }

    fn save(&self, number: u64, folder: &Path, chance: &mut Option<Chance>) -> io::Result<()> {
        let Some(Node::Folder(names)) = self.nodes.get(&number) else {
            return Ok(());
        };
        for (name, number) in &names.durable {
            let path = folder.join(name);
            match self.nodes.get(number) {
                Some(Node::File(content)) => fs::write(path, content.survive(chance))?,
                Some(Node::Folder(_)) => {
                    fs::create_dir(&path)?;
                    self.save(*number, &path, chance)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn node(&self, number: u64) -> Result<&Node, DiskError> {
        if self.off {
            Err(DiskError::Off)
        } else {
            self.nodes.get(&number).ok_or(DiskError::Missing)
        }
    }

    fn file(&mut self, number: u64) -> Result<&mut Content, DiskError> {
        if self.off {
            return Err(DiskError::Off);
        }
        match self.nodes.get_mut(&number) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Folder(_)) => Err(DiskError::WrongKind),
            None => Err(DiskError::Missing),
        }
    }

    fn folder(&mut self, number: u64) -> Result<&mut Names, DiskError> {
        if self.off {
            return Err(DiskError::Off);
        }
        match self.nodes.get_mut(&number) {
            Some(Node::Folder(names)) => Ok(names),
            Some(Node::File(_)) => Err(DiskError::WrongKind),
            None => Err(DiskError::Missing),
        }
    }

    /// The number behind a name.
    pub(crate) fn find(&mut self, folder: u64, name: &OsStr) -> Result<u64, DiskError> {
        self.folder(folder)?.live.get(name).copied().ok_or(DiskError::Missing)
    }

    /// The size of a file; none for a folder.
    pub(crate) fn size(&self, number: u64) -> Result<Option<u64>, DiskError> {
        Ok(match self.node(number)? {
            Node::File(content) => Some(content.live.len() as u64),
            Node::Folder(_) => None,
        })
    }

    /// The names in a folder, each with its number and whether it is a folder.
    pub(crate) fn list(&mut self, folder: u64) -> Result<Vec<(OsString, u64, bool)>, DiskError> {
        let names: Vec<_> = self.folder(folder)?.live.clone().into_iter().collect();
        let is_folder = |number| matches!(self.nodes.get(&number), Some(Node::Folder(_)));
        Ok(names
            .into_iter()
            .map(|(name, number)| (name, number, is_folder(number)))
            .collect())
    }

    /// Makes a file or folder.
    pub(crate) fn make(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> Result<u64, DiskError> {
        let number = self.next;
        let names = self.folder(folder)?;
        if names.live.contains_key(name) {
            return Err(DiskError::Exists);
        }
        names.live.insert(name.to_owned(), number);
        self.next += 1;
        let node = if is_folder {
            Node::Folder(Names::default())
        } else {
            Node::File(Content::default())
        };
        self.nodes.insert(number, node);
        Ok(number)
    }

    /// Removes a name. What it stood for stays, since the synced folder may still have the name.
    pub(crate) fn remove(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> Result<(), DiskError> {
        let number = self.find(folder, name)?;
        match self.node(number)? {
            Node::Folder(names) if is_folder && !names.live.is_empty() => return Err(DiskError::NotEmpty),
            Node::Folder(_) if is_folder => {}
            Node::File(_) if !is_folder => {}
            _ => return Err(DiskError::WrongKind),
        }
        self.folder(folder)?.live.remove(name);
        Ok(())
    }

    /// Moves a name, replacing the target.
    pub(crate) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), DiskError> {
        let number = self.find(from.0, from.1)?;
        self.folder(to.0)?.live.insert(to.1.to_owned(), number);
        if from != to {
            self.folder(from.0)?.live.remove(from.1);
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, file: u64, at: usize, size: usize) -> Result<&[u8], DiskError> {
        let live = &self.file(file)?.live;
        let start = at.min(live.len());
        Ok(live.get(start..live.len().min(at.saturating_add(size))).unwrap_or(&[]))
    }

    pub(crate) fn write(&mut self, file: u64, at: usize, data: &[u8]) -> Result<(), DiskError> {
        self.file(file)?.write(at, data);
        Ok(())
    }

    pub(crate) fn resize(&mut self, file: u64, length: usize) -> Result<(), DiskError> {
        self.file(file)?.resize(length);
        Ok(())
    }

    /// Carries a file's bytes or a folder's names over to the device.
    pub(crate) fn sync(&mut self, number: u64) -> Result<(), DiskError> {
        if self.off {
            return Err(DiskError::Off);
        }
        match self.nodes.get_mut(&number) {
            Some(Node::File(content)) => content.sync(),
            Some(Node::Folder(names)) => names.durable.clone_from(&names.live),
            None => return Err(DiskError::Missing),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survivors(disk: &mut Disk, how: Cut) -> BTreeMap<OsString, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        disk.cut(how, folder.path()).unwrap();
        fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect()
    }

    #[test]
    fn only_what_was_synced_survives() {
        let mut disk = Disk::default();
        let file = disk.make(ROOT, OsStr::new("a"), false).unwrap();
        disk.write(file, 0, b"first").unwrap();
        disk.sync(file).unwrap();
        disk.sync(ROOT).unwrap();
        disk.write(file, 0, b"FIRST and more").unwrap();
        disk.make(ROOT, OsStr::new("b"), false).unwrap();
        disk.rename((ROOT, OsStr::new("a")), (ROOT, OsStr::new("c"))).unwrap();
        assert_eq!(disk.read(file, 0, 99).unwrap(), b"FIRST and more");
        let left = survivors(&mut disk, Cut::Forget);
        assert_eq!(left, BTreeMap::from([(OsString::from("a"), b"first".to_vec())]));
        assert_eq!(disk.write(file, 0, b"x"), Err(DiskError::Off));
    }

    #[test]
    fn scattering_keeps_some_pages_whole() {
        let mut disk = Disk::default();
        let file = disk.make(ROOT, OsStr::new("a"), false).unwrap();
        disk.write(file, 0, &vec![1; PAGE * 64]).unwrap();
        disk.sync(file).unwrap();
        disk.sync(ROOT).unwrap();
        disk.write(file, 0, &vec![2; PAGE * 64]).unwrap();
        let left = survivors(&mut disk, Cut::Scatter(3));
        let pages: Vec<_> = left[OsStr::new("a")].chunks(PAGE).map(<[u8]>::to_vec).collect();
        assert_eq!(pages.len(), 64);
        assert!(pages.iter().all(|page| page.iter().all(|byte| *byte == page[0])));
        let new = pages.iter().filter(|page| page[0] == 2).count();
        assert!((1..64).contains(&new), "{new} of 64 pages survived");
    }
}
