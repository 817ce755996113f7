//! `viaduct policy protect`: lists with which a policy recognises what it must not be told.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use viaduct_compliance::protect::{Key, ListError, list_documents, list_values};

use crate::system::{SystemEntropy, token};
use crate::trouble::Trouble;

/// What to make.
#[derive(Debug, Subcommand)]
pub enum Protect {
    /// Make the key that lists are made with; keep it apart from them
    Key {
        /// Where it is written, with mode 0600; nothing is overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a list of values, such as customer numbers, names and part numbers
    Values {
        /// A text file with one value a line
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// With what, and where to
        #[command(flatten)]
        list: List,
    },
    /// Make a list of the fingerprints of documents: text, HTML, office documents, PDF, archives of these
    Documents {
        /// The documents
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Documents with what need not be protected, such as a letterhead or general terms
        #[arg(long, value_name = "FILE")]
        except: Vec<PathBuf>,
        /// With what, and where to
        #[command(flatten)]
        list: List,
    },
}

/// With what a list is made, and where it goes.
#[derive(Debug, Args)]
pub struct List {
    /// The key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the list is written; an older one is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes what was asked for; what to tell.
///
/// # Errors
///
/// If a file cannot be read or written, or holds nothing that can be protected.
pub fn run(wanted: Protect) -> anyhow::Result<String> {
    match wanted {
        Protect::Key { out } => {
            let key = format!("{}\n", token(&SystemEntropy));
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&out);
            file.and_then(|mut file| file.write_all(key.as_bytes()).and_then(|()| file.sync_all()))
                .map_err(|error| cannot("be written", &out, &error))?;
            Ok(format!(
                "{}: name it as `key_file`, and keep it apart from the lists",
                out.display()
            ))
        }
        Protect::Values { file, list } => {
            let made = list_values(&key(&list.key)?, &read(&file)?).map_err(|error| refused(&file, &error))?;
            // The first two lines say what the list is.
            let count = made.lines().count().saturating_sub(2);
            write(&list.out, &made)?;
            Ok(format!("{}: {count} spellings of values", list.out.display()))
        }
        Protect::Documents { files, except, list } => {
            let texts = |files: &[PathBuf]| {
                files
                    .iter()
                    .map(|file| text(file))
                    .collect::<anyhow::Result<Vec<String>>>()
            };
            let made = list_documents(&key(&list.key)?, &texts(&files)?, &texts(&except)?).map_err(|error| {
                let which = match error {
                    ListError::Bare(number) => files.get(number.saturating_sub(1)),
                    _ => None,
                };
                refused(which.unwrap_or(&list.out), &error)
            })?;
            write(&list.out, &made)?;
            let bytes = made.len();
            Ok(format!(
                "{}: {} documents, {bytes} bytes",
                list.out.display(),
                files.len()
            ))
        }
    }
}

fn key(path: &Path) -> anyhow::Result<Key> {
    Key::new(&read(path)?).map_err(|error| refused(path, &error))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).map_err(|error| cannot("be read", path, &error))
}

/// What can be read in a document, which must be all of it: what is not read is not protected.
fn text(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).map_err(|error| cannot("be read", path, &error))?;
    let text = viaduct_inspect::read_text(file).map_err(|error| cannot("be read", path, &error))?;
    if text.whole {
        return Ok(text.read.as_ref().to_owned());
    }
    Err(Trouble::error(
        "not all of this can be read, and so not protected",
        path.display(),
        "give it as plain text, HTML, DOCX, ODT or PDF, in parts if it is long",
    ))
}

fn write(path: &Path, list: &str) -> anyhow::Result<()> {
    fs::write(path, list).map_err(|error| cannot("be written", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> anyhow::Error {
    Trouble::error(format!("this cannot {what}: {error}"), path.display(), "")
}

fn refused(path: &Path, error: &ListError) -> anyhow::Error {
    Trouble::error(error.to_string(), path.display(), "")
}
