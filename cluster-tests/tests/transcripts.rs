//! The conversations in `transcripts/`, played to Carillon, and to redis-server, from which they are.

use std::{fs, path::Path};

use carillon_cluster_tests::{Server, transcript};

/// The first words of a transcript that redis-server does not follow.
const NOT_OF_REDIS: &str = "# Carillon only";

#[test]
fn transcripts_are_followed_to_the_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut played = 0;
    for entry in fs::read_dir(folder).expect("the folder of transcripts") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a transcript");
        // Each has servers of its own: it begins with nobody connected.
        let complain = |who: &str, complaint: String| panic!("{who}, {}, {complaint}", path.display());
        if !text.starts_with(NOT_OF_REDIS) {
            transcript::play(&text, Server::redis().addr)
                .unwrap_or_else(|complaint| complain("redis-server", complaint));
        }
        for shards in ["1", "3"] {
            transcript::play(&text, Server::carillon(&["--shards", shards]).addr)
                .unwrap_or_else(|complaint| complain("carillon", complaint));
        }
        played += 1;
    }
    assert!(played > 5, "only {played} transcripts found");
}
