//! The faults: what is done to a cluster, and undone.

use std::{fmt, time::Duration};

use crate::{Cluster, Path};

/// Something that breaks. Numbers are indexes of nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// kill -9, and a start when it is undone.
    Kill(Vec<usize>),
    /// SIGTERM, and a start when it is undone.
    Terminate(usize),
    /// SIGSTOP, and SIGCONT when it is undone.
    Stop(usize),
    /// kill -9, and a start with an empty disk.
    Wipe(usize),
    /// kill -9, and a start with a disk that cannot be read.
    Corrupt(usize),
    /// The disk of the first is full, and the second leaves, which all have to write down: the first may find that it
    /// cannot, and end.
    FullDisk(usize, usize),
    /// A part of the cluster is cut off from the rest.
    Part(Vec<usize>),
    /// Nothing gets from the first to the second.
    OneWay(usize, usize),
    /// Two nodes do not see each other.
    Link(usize, usize),
    /// All of the network is bad.
    Bad(Path),
    /// The way to one node is bad, in both directions.
    BadNode(usize, Path),
    /// The way between two nodes is cut, and then the first dies: what it has answered is with others only.
    CutAndKill(usize, usize),
}

impl Fault {
    /// Its kind, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill(nodes) if nodes.len() == 1 => "kill",
            Self::Kill(_) => "kill several",
            Self::Terminate(_) => "terminate",
            Self::Stop(_) => "pause",
            Self::Wipe(_) => "wipe",
            Self::Corrupt(_) => "corrupt",
            Self::FullDisk(..) => "full disk",
            Self::Part(_) => "partition",
            Self::OneWay(..) => "one-way cut",
            Self::Link(..) => "link cut",
            Self::Bad(_) => "bad network",
            Self::BadNode(..) => "bad way to one node",
            Self::CutAndKill(..) => "link cut, then kill",
        }
    }

    /// One of all kinds; full disks only where each node has one of its own.
    pub fn any(random: &mut fastrand::Rng, nodes: usize, with_disks: bool) -> Self {
        let one = random.usize(0..nodes);
        let other = (one + random.usize(1..nodes)) % nodes;
        let mut several: Vec<usize> = (0..nodes).collect();
        random.shuffle(&mut several);
        let minority = several[..random.usize(1..=(nodes - 1) / 2)].to_vec();
        match random.u32(0..100) {
            0..16 => Self::Kill(minority),
            16..22 => Self::Kill(several[..random.usize(nodes / 2 + 1..=nodes)].to_vec()),
            22..30 => Self::Terminate(one),
            30..44 => Self::Stop(one),
            44..48 => Self::Wipe(one),
            48..52 => Self::Corrupt(one),
            52..56 if with_disks => Self::FullDisk(one, other),
            52..64 => Self::Part(minority),
            64..72 => Self::OneWay(one, other),
            72..80 => Self::Link(one, other),
            80..86 => Self::Bad(Self::bad(random)),
            86..92 => Self::BadNode(one, Self::bad(random)),
            _ => Self::CutAndKill(one, other),
        }
    }

    fn bad(random: &mut fastrand::Rng) -> Path {
        Path {
            is_cut: false,
            delay: Duration::from_millis(random.u64(0..80)),
            loss: random.f64() * 0.3,
            reorder: random.f64() * 0.3,
            duplicate: random.f64() * 0.2,
        }
    }

    /// The nodes whose processes it touches.
    fn processes(&self) -> Vec<usize> {
        match self {
            Self::Kill(nodes) => nodes.clone(),
            Self::Terminate(node)
            | Self::Stop(node)
            | Self::Wipe(node)
            | Self::Corrupt(node)
            | Self::CutAndKill(node, _) => vec![*node],
            Self::FullDisk(full, leaving) => vec![*full, *leaving],
            _ => Vec::new(),
        }
    }

    /// Whether it may happen while `other` lasts: a process has one fault at a time, and an id is given up only
    /// while all others are there to see to it.
    pub fn goes_with(&self, other: &Self) -> bool {
        let is_rare = |fault: &Self| {
            matches!(fault, Self::Wipe(_) | Self::Corrupt(_))
                || matches!(fault, Self::Kill(nodes) if nodes.len() > 1)
        };
        let others = other.processes();
        !is_rare(self) && !is_rare(other) && self.processes().iter().all(|node| !others.contains(node))
    }

    /// Does it.
    pub fn begin(&self, cluster: &mut Cluster) {
        let cut = Path { is_cut: true, ..Path::default() };
        match self {
            Self::Kill(nodes) => nodes.iter().for_each(|node| cluster.nodes[*node].kill()),
            Self::Terminate(node) => {
                let code = cluster.nodes[*node].terminate();
                assert_eq!(code, Some(0), "SIGTERM ends with success");
            }
            Self::Stop(node) => cluster.stop(*node),
            Self::Wipe(node) => {
                cluster.nodes[*node].kill();
                cluster.nodes[*node].wipe();
            }
            Self::Corrupt(node) => {
                cluster.nodes[*node].kill();
                cluster.nodes[*node].corrupt();
            }
            Self::FullDisk(full, leaving) => {
                cluster.nodes[*full].disk().expect("each node has one").fill();
                Self::Terminate(*leaving).begin(cluster);
            }
            Self::Part(part) => cluster.network.part(part),
            Self::OneWay(from, to) => cluster.network.set(*from, *to, cut),
            Self::Link(one, other) => cluster.network.set_both(*one, *other, cut),
            Self::Bad(path) => cluster.network.set_all(*path),
            Self::BadNode(node, path) => {
                for other in (0..cluster.nodes.len()).filter(|other| other != node) {
                    cluster.network.set_both(*node, other, *path);
                }
            }
            Self::CutAndKill(node, other) => {
                cluster.network.set_both(*node, *other, cut);
                // Long enough for answers that only the grace has waited for.
                std::thread::sleep(cluster.settings.grace * 2);
                cluster.nodes[*node].kill();
            }
        }
    }

    /// Undoes it, but for the network, which is healed as a whole.
    pub fn end(&self, cluster: &mut Cluster) {
        match self {
            Self::Stop(node) => cluster.go_on(*node),
            Self::FullDisk(full, leaving) => {
                cluster.nodes[*full].disk().expect("each node has one").free();
                cluster.nodes[*leaving].start();
            }
            _ => self.processes().iter().for_each(|node| cluster.nodes[*node].start()),
        }
    }

    /// The node that may end by itself over it.
    pub fn may_end(&self) -> Option<usize> {
        match self {
            Self::FullDisk(full, _) => Some(*full),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}
