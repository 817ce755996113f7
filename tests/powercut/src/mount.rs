//! The disk as a file system.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::disk::{Cut, Disk, DiskError};

/// How long the kernel may remember names and sizes. It is the only one that changes them.
const REMEMBER: Duration = Duration::from_secs(1);

/// A disk that is mounted somewhere. It is unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
}

impl Mounted {
    /// Mounts a disk at a folder.
    ///
    /// # Errors
    ///
    /// When the system has no FUSE or does not let this process mount: a reason to skip a test.
    pub fn new(disk: Disk, at: &Path) -> io::Result<Self> {
        let disk = Arc::new(Mutex::new(disk));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("powercut".to_owned())];
        let session = fuser::spawn_mount(Face(Arc::clone(&disk)), at, &config)?;
        Ok(Self {
            disk,
            session: Some(session),
        })
    }

    /// Cuts the power: every call fails from now on, and `folder` gets what survived. How many pages were unsynced.
    ///
    /// # Errors
    ///
    /// Whatever writing the folder gives.
    pub fn cut(&self, how: Cut, folder: &Path) -> io::Result<usize> {
        lock(&self.disk).cut(how, folder)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.umount_and_join().ok();
        }
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

fn errno(error: DiskError) -> Errno {
    match error {
        DiskError::Missing => Errno::ENOENT,
        DiskError::Exists => Errno::EEXIST,
        DiskError::WrongKind => Errno::EISDIR,
        DiskError::NotEmpty => Errno::ENOTEMPTY,
        DiskError::Off => Errno::EIO,
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// What the kernel talks to.
#[derive(Debug)]
struct Face(Arc<Mutex<Disk>>);

impl Face {
    fn attributes(disk: &Disk, number: u64) -> Result<FileAttr, DiskError> {
        let size = disk.size(number)?;
        let (kind, perm) = if size.is_some() {
            (FileType::RegularFile, 0o644)
        } else {
            (FileType::Directory, 0o755)
        };
        let size = size.unwrap_or(0);
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn enter(&self, reply: ReplyEntry, act: impl FnOnce(&mut Disk) -> Result<u64, DiskError>) {
        let mut disk = lock(&self.0);
        match act(&mut disk).and_then(|number| Self::attributes(&disk, number)) {
            Ok(attributes) => reply.entry(&REMEMBER, &attributes, Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn act(&self, reply: ReplyEmpty, act: impl FnOnce(&mut Disk) -> Result<(), DiskError>) {
        match act(&mut lock(&self.0)) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(error)),
        }
    }
}

impl Filesystem for Face {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.enter(reply, |disk| disk.find(parent.0, name));
    }

    fn getattr(&self, _request: &Request, number: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match Self::attributes(&lock(&self.0), number.0) {
            Ok(attributes) => reply.attr(&REMEMBER, &attributes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = lock(&self.0);
        let resized = size.map_or(Ok(()), |size| disk.resize(number.0, position(size)));
        match resized.and_then(|()| Self::attributes(&disk, number.0)) {
            Ok(attributes) => reply.attr(&REMEMBER, &attributes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mkdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        self.enter(reply, |disk| disk.make(parent.0, name, true));
    }

    fn create(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut disk = lock(&self.0);
        match disk
            .make(parent.0, name, false)
            .and_then(|number| Self::attributes(&disk, number))
        {
            Ok(attributes) => {
                reply.created(
                    &REMEMBER,
                    &attributes,
                    Generation(0),
                    FileHandle(0),
                    FopenFlags::empty(),
                );
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.act(reply, |disk| disk.remove(parent.0, name, false));
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.act(reply, |disk| disk.remove(parent.0, name, true));
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.act(reply, |disk| disk.rename((parent.0, name), (new_parent.0, new_name)));
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match lock(&self.0).read(number.0, position(offset), position(u64::from(size))) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match lock(&self.0).write(number.0, position(offset), data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// Closing a file says nothing about the device.
    fn flush(&self, _request: &Request, _number: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _request: &Request, number: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        self.act(reply, |disk| disk.sync(number.0));
    }

    fn fsyncdir(&self, _request: &Request, number: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        self.act(reply, |disk| disk.sync(number.0));
    }

    fn readdir(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let entries = match lock(&self.0).list(number.0) {
            Ok(entries) => entries,
            Err(error) => return reply.error(errno(error)),
        };
        for (next, (name, number, is_folder)) in (1_u64..).zip(entries).skip(position(offset)) {
            let kind = if is_folder {
                FileType::Directory
            } else {
                FileType::RegularFile
            };
            if reply.add(INodeNo(number), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    /// There is always room.
    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        const BLOCKS: u64 = 1 << 20;
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}
