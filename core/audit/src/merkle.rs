//! The Merkle tree of RFC 6962 (section 2.1; RFC 9162 has the same tree), over hashes of entries.

use sha2::{Digest, Sha256};

/// The hash of a leaf, an inner node or a whole tree.
pub type Hash = [u8; 32];

/// The hash of a leaf with these bytes.
pub fn leaf(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The right edge of a growing tree: enough to add leaves and to tell the root, in logarithmic space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// The roots of the full subtrees, the largest first: one for each bit that is set in the size.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The edge that was told by [`Frontier::parts`]; none if there are too many or too few subtrees for the size.
    pub fn from_parts(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        (subtrees.len() as u64 == u64::from(size.count_ones())).then_some(Self { size, subtrees })
    }

    /// The number of leaves, and the roots of the full subtrees.
    pub fn parts(&self) -> (u64, &[Hash]) {
        (self.size, &self.subtrees)
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf at the right.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node(&left, &hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The root of the tree; that of an empty tree is the hash of nothing.
    pub fn root(&self) -> Hash {
        let right_to_left = self.subtrees.iter().rev().copied();
        right_to_left
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| Sha256::new().finalize().into())
    }
}

/// The root over these leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// Where a tree of so many leaves (at least two) is divided: the largest power of two below its size.
fn split(leaves: &[Hash]) -> Option<(&[Hash], &[Hash])> {
    if leaves.len() < 2 {
        return None;
    }
    leaves.split_at_checked(leaves.len().next_power_of_two() / 2)
}

/// The audit path of a leaf (RFC 6962 2.1.1), nearest first; none if there is no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let Some((left, right)) = split(leaves) else {
        return Some(Vec::new());
    };
    let (inside, index, beside) = if index < left.len() {
        (left, index, right)
    } else {
        (right, index - left.len(), left)
    };
    let mut path = inclusion_proof(inside, index)?;
    path.push(root(beside));
    Some(path)
}

/// Whether a leaf is in the tree of this size and root, by its audit path (RFC 9162 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut position, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            hash = node(beside, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, beside);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// What shows that the tree over `leaves` begins with the tree over the first `size` of them (RFC 6962 2.1.2); none if the
/// size is zero or larger than the tree.
pub fn consistency_proof(leaves: &[Hash], size: usize) -> Option<Vec<Hash>> {
    if size == 0 || size > leaves.len() {
        return None;
    }
    subproof(leaves, size, true)
}

fn subproof(leaves: &[Hash], size: usize, known: bool) -> Option<Vec<Hash>> {
    if size == leaves.len() {
        return Some(if known { Vec::new() } else { vec![root(leaves)] });
    }
    let (left, right) = split(leaves)?;
    let mut proof;
    if size <= left.len() {
        proof = subproof(left, size, known)?;
        proof.push(root(right));
    } else {
        proof = subproof(right, size - left.len(), false)?;
        proof.push(root(left));
    }
    Some(proof)
}

/// Whether a tree continues another, by a consistency proof (RFC 9162 2.1.4.2). Sizes and roots of both are given.
pub fn verify_consistency(first: (u64, &Hash), second: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((first_size, first_root), (second_size, second_root)) = (first, second);
    if first_size == 0 || first_size > second_size {
        return false;
    }
    if first_size == second_size {
        return proof.is_empty() && first_root == second_root;
    }
    let mut path = proof.iter().copied();
    let start = if first_size.is_power_of_two() {
        Some(*first_root)
    } else {
        path.next()
    };
    let Some(start) = start else { return false };
    let (mut position, mut last) = (first_size - 1, second_size - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (start, start);
    for beside in path {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            old = node(&beside, &old);
            new = node(&beside, &new);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new = node(&new, &beside);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(hash: &Hash) -> String {
        crate::text::hex(hash)
    }

    /// Leaves and roots of the reference implementation of Certificate Transparency.
    #[test]
    fn known_roots() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(hex(&frontier.root()), roots[0]);
        for (bytes, wanted) in leaves.iter().zip(&roots[1..]) {
            frontier.push(leaf(bytes));
            assert_eq!(hex(&frontier.root()), *wanted);
        }
    }

    fn tree(size: usize) -> Vec<Hash> {
        (0..size).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    /// The definition of RFC 6962 2.1, word by word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::new().finalize().into(),
            [one] => *one,
            _ => {
                let (left, right) = split(leaves).unwrap();
                node(&defined(left), &defined(right))
            }
        }
    }

    #[test]
    fn the_frontier_is_the_definition() {
        for size in 0..70 {
            assert_eq!(root(&tree(size)), defined(&tree(size)));
        }
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_no_other() {
        for size in 1..20 {
            let leaves = tree(size);
            let whole = root(&leaves);
            for index in 0..size {
                let proof = inclusion_proof(&leaves, index).unwrap();
                for claimed in 0..size {
                    let holds = verify_inclusion(&leaves[index], claimed as u64, size as u64, &proof, &whole);
                    assert_eq!(holds, claimed == index, "leaf {index} of {size} as {claimed}");
                }
                let mut longer = proof.clone();
                longer.push(whole);
                assert!(!verify_inclusion(
                    &leaves[index],
                    index as u64,
                    size as u64,
                    &longer,
                    &whole
                ));
            }
            for earlier in 1..=size {
                let proof = consistency_proof(&leaves, earlier).unwrap();
                let old = root(&leaves[..earlier]);
                assert!(verify_consistency(
                    (earlier as u64, &old),
                    (size as u64, &whole),
                    &proof
                ));
                assert!(!verify_consistency(
                    (earlier as u64, &leaf(b"x")),
                    (size as u64, &whole),
                    &proof
                ));
                assert!(!verify_consistency(
                    (earlier as u64, &old),
                    (size as u64, &leaf(b"x")),
                    &proof
                ));
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_proof_does_not_hold(size in 2_usize..200, pick in any::<usize>(), byte in 0_usize..32) {
            let leaves = tree(size);
            let index = pick % size;
            let mut proof = inclusion_proof(&leaves, index).unwrap();
            let step = pick % proof.len();
            proof[step][byte] ^= 1;
            prop_assert!(!verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &root(&leaves)));
        }
    }
}
