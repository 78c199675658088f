//! Queries on Lambda: the HTTP API, and for administrators, under another role, what changes the store.

use std::process::ExitCode;
use std::sync::Arc;

use api::{Api, BuildInfo, GlobalUrlOptions, RuntimeInfo};
use lambda::{Function, Parts};
use query_function::{QueryDeployment, QuerySettings};

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("query", wire)
}

fn wire(parts: &Parts) -> Function {
    let (platform, store, settings) = (&parts.platform, &parts.store, &parts.settings);
    let deployment =
        QueryDeployment::new(platform.clone(), Arc::clone(&parts.configs), Arc::clone(store), about(parts));
    let api = Arc::new(Api {
        queryable: Arc::<tsdb::Store>::clone(store),
        exemplars: Arc::<tsdb::Store>::clone(store),
        metadata: Arc::<tsdb::Store>::clone(store),
        deployment: Arc::new(deployment.with_admin(settings.enable_admin_api)),
        clock: Arc::clone(&platform.clock),
        engine: settings.engine(),
        query_timeout: settings.query_timeout,
    });
    Function::new(parts).web(Arc::new(move |request| {
        let api = Arc::clone(&api);
        Box::pin(async move { query_function::answer(&api, request).await })
    }))
}

fn about(parts: &Parts) -> QuerySettings {
    let (settings, start_time) = (parts.settings.clone(), parts.started_at);
    QuerySettings {
        flags: settings.as_flags(),
        global_url: GlobalUrlOptions { listen_port: None, external_url: settings.external_url.clone() },
        build_info: BuildInfo { version: env!("CARGO_PKG_VERSION").to_owned(), revision: String::new() },
        runtime_info: Arc::new(move || RuntimeInfo {
            start_time,
            cwd: String::new(),
            hostname: settings.function_name.clone(),
            reload_config_success: true,
            last_config_time: 0,
            storage_retention: model::duration::format(settings.retention),
        }),
    }
}
