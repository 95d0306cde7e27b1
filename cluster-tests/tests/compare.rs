//! `compare --single`: that its table has figures.

use std::path::PathBuf;

use carillon_cluster_tests::compare::{
    Pace,
    single::{Contender, Kind, compare},
};

#[test]
fn a_table_of_single_servers_has_a_figure_in_every_cell() {
    let contenders = [
        Contender { name: "Carillon".to_owned(), kind: Kind::Carillon(1) },
        Contender { name: "Redis".to_owned(), kind: Kind::LikeRedis(PathBuf::from("redis-server")) },
        Contender { name: "floor".to_owned(), kind: Kind::Floor(PathBuf::from(env!("CARGO_BIN_EXE_floor"))) },
    ];
    let table = |count, only| compare(&contenders[..count], Pace { seconds: 1, rounds: 1 }, only);
    for (count, only) in
        [(3, "1 → 10, 16 in flight"), (2, "SUBSCRIBE/UNSUBSCRIBE, 16 in flight"), (2, "idle")]
    {
        let table = table(count, only);
        assert!(!table.contains("failed") && !table.contains("| – | –"), "{table}");
        assert!(table.lines().count() >= 3, "{table}");
    }
    assert_eq!(table(2, "no such scenario"), "");
}
