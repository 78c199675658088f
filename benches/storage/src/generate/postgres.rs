//! A database: postgres_exporter.

use super::maker::{Maker, milliseconds_product, whole};
use super::runtime::fill_go;

/// Fills in what the exporter of a database serves.
pub(super) fn fill(maker: &mut Maker) {
    for (number, database) in ["app", "billing", "postgres", "template0", "template1"].into_iter().enumerate()
    {
        let extra = [("datname", database), ("datid", "16384")];
        let rate = [40.0, 6.0, 0.4, 0.0, 0.0][number];
        for (name, part) in [
            ("xact_commit", 1.0),
            ("xact_rollback", 0.01),
            ("blks_hit", 60.0),
            ("blks_read", 0.3),
            ("tup_returned", 300.0),
            ("tup_fetched", 80.0),
            ("tup_inserted", 2.0),
            ("tup_updated", 1.5),
            ("tup_deleted", 0.2),
            ("temp_files", 0.000_1),
            ("deadlocks", 0.0),
            ("conflicts", 0.0),
        ] {
            maker.counter(&format!("pg_stat_database_{name}"), &extra, rate * part, 1.0, whole);
        }
        maker.counter("pg_stat_database_blk_read_time", &extra, rate * 2.0, 1.0, milliseconds_product);
        maker.seldom("pg_stat_database_numbackends", &extra, 5.0, rate.min(1.0) * 0.1, |random| {
            random.below(3) as f64 - 1.0
        });
        maker.seldom("pg_database_size_bytes", &extra, 8_192_000.0, rate.min(1.0) * 0.05, |random| {
            random.below(40) as f64 * 8_192.0
        });
        for mode in [
            "accessexclusivelock",
            "accesssharelock",
            "exclusivelock",
            "rowexclusivelock",
            "rowsharelock",
            "sharelock",
        ] {
            let chance = if mode.starts_with("access") { rate.min(1.0) * 0.2 } else { 0.01 * rate.min(1.0) };
            maker.seldom("pg_locks_count", &[("datname", database), ("mode", mode)], 0.0, chance, |random| {
                random.below(5) as f64 - 2.0
            });
        }
        for state in ["active", "disabled", "fastpath function call", "idle", "idle in transaction"] {
            let chance = if state == "active" || state == "idle" { rate.min(1.0) * 0.1 } else { 0.0 };
            maker.seldom(
                "pg_stat_activity_count",
                &[("datname", database), ("state", state)],
                0.0,
                chance,
                |random| random.below(3) as f64 - 1.0,
            );
        }
    }
    for number in 0..60 {
        let setting = format!("pg_settings_setting_{number:02}");
        maker.constant(&setting, &[("server", "db-0:5432")], f64::from(number * 8));
    }
    for number in 0..16 {
        let table = format!("table_{number:02}");
        let rate = maker.rate(0.4, 0.05);
        let extra = [("relname", table.as_str()), ("datname", "app")];
        for (name, part) in [("seq_scan", 0.05), ("idx_scan", 3.0), ("n_tup_ins", 0.3), ("n_tup_upd", 0.2)] {
            maker.counter(&format!("pg_stat_user_tables_{name}"), &extra, rate * part, 1.0, whole);
        }
        maker.seldom("pg_stat_user_tables_n_dead_tup", &extra, 100.0, rate.min(1.0), |random| {
            random.below(9) as f64 - 3.0
        });
    }
    fill_go(maker, 120_000.0);
}
