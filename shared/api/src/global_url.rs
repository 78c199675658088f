//! URLs of targets as they can be opened from elsewhere. Source: `getGlobalURL` of `web/api/v1/api.go`.

use url::Url;

/// How the deployment is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobalUrlOptions {
    /// The port that it listens on itself, where it does.
    pub listen_port: Option<u16>,
    /// The URL under which users reach it; empty where there is none.
    pub external_url: String,
}

impl GlobalUrlOptions {
    /// The URL of a target with what is only reachable on its own machine replaced: another port of this machine gets
    /// the external host, foxfire itself the whole external address.
    pub(crate) fn global_url(&self, target: &str) -> String {
        self.replaced(target).unwrap_or_else(|| target.to_owned())
    }

    fn replaced(&self, target: &str) -> Option<String> {
        let mut url = Url::parse(target).ok()?;
        if !matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            return None;
        }
        let external = Url::parse(&self.external_url).ok()?;
        let own = self.listen_port.is_some() && url.port_or_known_default() == self.listen_port;
        url.set_host(external.host_str()).ok()?;
        if own {
            url.set_scheme(external.scheme()).ok()?;
            url.set_port(external.port()).ok()?;
        }
        Some(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::GlobalUrlOptions;

    #[test]
    fn hosts_that_only_this_machine_knows_are_replaced() {
        let options = GlobalUrlOptions {
            listen_port: Some(9090),
            external_url: "https://foxfire.example:8443/x".to_owned(),
        };
        let global = |url| options.global_url(url);
        assert_eq!(global("http://127.0.0.1:9100/metrics"), "http://foxfire.example:9100/metrics");
        assert_eq!(global("http://[::1]:9100/metrics?a=b"), "http://foxfire.example:9100/metrics?a=b");
        assert_eq!(global("http://localhost:9090/metrics"), "https://foxfire.example:8443/metrics");
        assert_eq!(global("http://db:9100/metrics"), "http://db:9100/metrics");
        assert_eq!(GlobalUrlOptions::default().global_url("http://localhost:1/"), "http://localhost:1/");
    }
}
