//! The strictest disk there may be, in memory. A file's bytes are safe when a fsync of it has ended that
//! began after they were written; a name that was made, changed or removed when its folder was fsynced
//! after that (POSIX promises no more, and SQLite counts on no more). The rest is gone when power is, or any part of it is not.

use crate::plan::Random;
use crate::record::Step;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What a disk writes in one go, in bytes.
const PAGE: usize = 4096;

/// Files with their bytes and folders without, by their paths below the top: a folder before what it holds.
pub type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// What is left of all that is not safe.
pub enum Rest<'a> {
    Nothing,
    /// Of each page the first so many writes, of each folder's names the first so many changes.
    Part(&'a mut Random),
    /// Everything: what the daemon itself sees.
    All,
}

/// A file's or folder's content: what is safe, and what was done to it since.
struct Node<'a> {
    safe: Content,
    later: Vec<Change<'a>>,
    /// How many changes were made safe before those.
    settled: usize,
}

#[derive(Clone)]
enum Content {
    File(Vec<u8>),
    Folder(BTreeMap<String, usize>),
}

#[derive(Clone)]
enum Change<'a> {
    Bytes {
        at: usize,
        bytes: &'a [u8],
    },
    Length(usize),
    /// Names that go to a node, or to none, at once.
    Names(Vec<(String, Option<usize>)>),
}

impl Content {
    fn apply(&mut self, change: &Change) {
        match (self, change) {
            (Self::File(file), Change::Bytes { at, bytes }) => {
                let end = at + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*at..end].copy_from_slice(bytes);
            }
            (Self::File(file), Change::Length(length)) => file.resize(*length, 0),
            (Self::Folder(names), Change::Names(changes)) => {
                for (name, node) in changes {
                    match node {
                        Some(node) => names.insert(name.clone(), *node),
                        None => names.remove(name),
                    };
                }
            }
            _ => panic!("a file is used as a folder, or the other way round"),
        }
    }
}

impl Node<'_> {
    fn new(safe: Content) -> Self {
        Self { safe, later: Vec::new(), settled: 0 }
    }

    fn left(&self, rest: &mut Rest) -> Content {
        let mut content = self.safe.clone();
        match rest {
            Rest::Nothing => {}
            Rest::All => self.later.iter().for_each(|change| content.apply(change)),
            Rest::Part(random) => self.part(&mut content, random),
        }
        content
    }

    fn part(&self, content: &mut Content, random: &mut Random) {
        // Pages that the disk did not write any more.
        let mut over = HashSet::new();
        for change in &self.later {
            match change {
                Change::Bytes { at, bytes } => {
                    let mut begin = *at;
                    while begin < at + bytes.len() {
                        let page = begin / PAGE;
                        let end = ((page + 1) * PAGE).min(at + bytes.len());
                        if !over.contains(&page) && random.below(4) == 0 {
                            over.insert(page);
                        }
                        if !over.contains(&page) {
                            content.apply(&Change::Bytes { at: begin, bytes: &bytes[begin - at..end - at] });
                        }
                        begin = end;
                    }
                }
                Change::Length(_) if random.below(2) == 0 => {}
                Change::Names(_) if random.below(4) == 0 => break,
                whole => content.apply(whole),
            }
        }
    }
}

/// The disk.
pub struct Disk<'a> {
    nodes: Vec<Node<'a>>,
    /// By thread: what it has asked to be safe, and up to which change.
    syncs: HashMap<&'a str, (usize, usize)>,
    pub acknowledged: usize,
}

impl<'a> Disk<'a> {
    /// A disk on which all of this is safe.
    pub fn new(tree: &Tree) -> Self {
        let top = Node::new(Content::Folder(BTreeMap::new()));
        let mut disk = Self { nodes: vec![top], syncs: HashMap::new(), acknowledged: 0 };
        for (path, bytes) in tree {
            let content = bytes.clone().map_or(Content::Folder(BTreeMap::new()), Content::File);
            disk.nodes.push(Node::new(content));
            let node = disk.nodes.len() - 1;
            let (folder, name) = disk.place(path);
            disk.nodes[folder].safe.apply(&Change::Names(vec![(name, Some(node))]));
        }
        disk
    }

    /// Does what was recorded. A fsync of what is `deaf` says it is done and does nothing.
    pub fn play(&mut self, steps: &'a [Step], deaf: fn(&str) -> bool) {
        for step in steps {
            self.step(step, deaf);
        }
    }

    fn step(&mut self, step: &'a Step, deaf: fn(&str) -> bool) {
        match step {
            Step::Opened { path, emptied } => match self.find(path) {
                Some(node) if *emptied => self.nodes[node].later.push(Change::Length(0)),
                Some(_) => {}
                None => self.make(path, Content::File(Vec::new())),
            },
            Step::Wrote { path, at, bytes } => self.change(path, Change::Bytes { at: *at, bytes }),
            Step::Resized { path, length } => self.change(path, Change::Length(*length)),
            Step::MadeFolder { path } => self.make(path, Content::Folder(BTreeMap::new())),
            Step::Linked { from, to } => {
                let node = self.known(from);
                self.name(to, Some(node));
            }
            Step::Removed { path } => self.name(path, None),
            Step::Renamed { from, to } => {
                let node = self.known(from);
                let ((from, old), (to, new)) = (self.place(from), self.place(to));
                if from == to {
                    let both = vec![(old, None), (new, Some(node))];
                    self.nodes[from].later.push(Change::Names(both));
                } else {
                    self.nodes[to].later.push(Change::Names(vec![(new, Some(node))]));
                    self.nodes[from].later.push(Change::Names(vec![(old, None)]));
                }
            }
            Step::SyncBegins { thread, path } => {
                let node = self.known(path);
                let Node { settled, later, .. } = &self.nodes[node];
                let up_to = if deaf(path) { 0 } else { settled + later.len() };
                self.syncs.insert(thread, (node, up_to));
            }
            Step::SyncEnds { thread } => {
                let (node, up_to) = self.syncs.remove(thread.as_str()).expect("it has begun");
                let node = &mut self.nodes[node];
                // Another thread's may have done some of it meanwhile.
                let count = up_to.saturating_sub(node.settled);
                for change in node.later.drain(..count) {
                    node.safe.apply(&change);
                }
                node.settled += count;
            }
            Step::Acknowledged => self.acknowledged += 1,
        }
    }

    fn make(&mut self, path: &str, content: Content) {
        self.nodes.push(Node::new(content));
        self.name(path, Some(self.nodes.len() - 1));
    }

    fn name(&mut self, path: &str, node: Option<usize>) {
        let (folder, name) = self.place(path);
        self.nodes[folder].later.push(Change::Names(vec![(name, node)]));
    }

    fn change(&mut self, path: &str, change: Change<'a>) {
        let node = self.known(path);
        self.nodes[node].later.push(change);
    }

    /// The folder of a path, and the name in it.
    fn place(&self, path: &str) -> (usize, String) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.known(folder), name.to_owned())
    }

    fn known(&self, path: &str) -> usize {
        self.find(path).unwrap_or_else(|| panic!("the record does not say where {path} comes from"))
    }

    /// What a path names for the daemon, safe or not.
    fn find(&self, path: &str) -> Option<usize> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(0, |folder, name| {
            let node = &self.nodes[folder];
            let last = node.later.iter().rev().find_map(|change| match change {
                Change::Names(changes) => changes.iter().rev().find(|(changed, _)| changed == name),
                _ => None,
            });
            match (last, &node.safe) {
                (Some((_, node)), _) => *node,
                (None, Content::Folder(names)) => names.get(name).copied(),
                (None, Content::File(_)) => None,
            }
        })
    }

    /// What is there when the power comes back.
    pub fn left(&self, mut rest: Rest) -> Tree {
        let mut tree = Tree::new();
        let mut open = vec![(String::new(), 0)];
        while let Some((path, node)) = open.pop() {
            let bytes = match self.nodes[node].left(&mut rest) {
                Content::File(bytes) => Some(bytes),
                Content::Folder(names) => {
                    let edge = if path.is_empty() { "" } else { "/" };
                    open.extend(names.into_iter().map(|(name, node)| (format!("{path}{edge}{name}"), node)));
                    None
                }
            };
            if !path.is_empty() {
                tree.insert(path, bytes);
            }
        }
        tree
    }
}

/// What lies in a folder, without what SQLite keeps in memory.
pub fn read_tree(folder: &Path) -> Tree {
    fn read_into(tree: &mut Tree, folder: &Path, path: &str) {
        for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
            let name = entry.file_name().into_string().expect("our files have plain names");
            let (inner, path) = (entry.path(), format!("{path}{name}"));
            if inner.is_dir() {
                tree.insert(path.clone(), None);
                read_into(tree, &inner, &format!("{path}/"));
            } else if !name.ends_with("-shm") {
                tree.insert(path, Some(fs::read(inner).expect("the file is our own")));
            }
        }
    }
    let mut tree = Tree::new();
    read_into(&mut tree, folder, "");
    tree
}

/// Makes a folder that holds this, for nobody but its owner.
pub fn write_tree(tree: &Tree, folder: &Path) {
    let make = |path: &Path| DirBuilder::new().mode(0o700).create(path);
    make(folder).expect("the work folder can be written to");
    for (path, bytes) in tree {
        let path = folder.join(path);
        match bytes {
            None => make(&path).expect("the work folder can be written to"),
            Some(bytes) => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                file.and_then(|mut file| file.write_all(bytes)).expect("the work folder can be written to");
            }
        }
    }
}
